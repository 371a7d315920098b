"""Text from outside (model output, names, labels, files) made safe to show in a terminal."""

import unicodedata

_REMOVED_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
"""Control, format (bidirectional overrides, zero width), surrogate, private and unassigned."""

_SPACES = frozenset("\t\u2028\u2029")
"""Tabs, and Unicode's line and paragraph separators, at which programs break lines."""


def clean(text: str, *, keep_newlines: bool = False) -> str:
    """Return `text` without control, escape and invisible characters.

    Tabs become spaces; newlines are kept only on request, and become spaces otherwise, so that
    a label stays on its line. A terminal escape thus loses the byte that made it one.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_clean_character(character, keep_newlines) for character in text)


def _clean_character(character: str, keep_newlines: bool) -> str:
    if character == "\n":
        return "\n" if keep_newlines else " "
    if character in _SPACES:
        return " "
    if character == "\r":
        return ""
    return "" if unicodedata.category(character) in _REMOVED_CATEGORIES else character
