"""Keys as a user would type them (`[`, `space`, `shift+left`), and as Textual names them."""

import unicodedata

from textual.keys import KEY_NAME_REPLACEMENTS, Keys

_MODIFIERS = frozenset({"ctrl", "shift", "alt", "super", "hyper", "meta"})
_NAMED_KEYS = frozenset(key.value for key in Keys if "+" not in key.value and "<" not in key.value)


def is_key(key: str) -> bool:
    """Whether `key` names a key: a character, a named key, or either after modifiers."""
    modifiers, last = _parts(key)
    if modifiers and not _MODIFIERS.issuperset(modifiers.split("+")):
        return False
    if len(last) == 1:
        return last.isprintable()
    return last in _NAMED_KEYS


def textual_key(key: str) -> str:
    """The name Textual has for `key`: `[` is `left_square_bracket`."""
    modifiers, last = _parts(key)
    if len(last) == 1 and not last.isalnum():
        name = unicodedata.name(last).lower().replace("-", "_").replace(" ", "_")
        last = KEY_NAME_REPLACEMENTS.get(name, name)
    return f"{modifiers}+{last}" if modifiers else last


def _parts(key: str) -> tuple[str, str]:
    """The modifiers, joined by `+`, and the key itself, which may be `+`."""
    if key == "+" or key.endswith("++"):
        return key[:-2], "+"
    modifiers, _, last = key.rpartition("+")
    return modifiers, last
