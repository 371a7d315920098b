"""What keys do: actions with their default keys as data, remapped by the config's `[keys]`."""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from textual.binding import Binding
from textual.keys import KEY_NAME_REPLACEMENTS, Keys

from ..engine.errors import BadInputError
from ..engine.protocol import StrategyName


class KeymapError(BadInputError):
    """A `[keys]` table that cannot be used: names the file, the action and the key."""


@dataclass(frozen=True, slots=True)
class Action:
    """Something a key does. `call` is the Textual action, resolved on the app.

    `keys` are as a user would type them (`[`, `space`, `shift+left`); the first is the one shown.
    """

    name: str
    call: str
    keys: tuple[str, ...]
    description: str
    group: str
    footer: str = ""
    """The short word in the footer; empty for actions that the footer does not show."""


SERVING = "Strategy and precision"
LOAD = "Load"
HISTORY = "History"
DISPLAY = "Display"
GENERAL = "General"

STRATEGY_ACTIONS: tuple[Action, ...] = tuple(
    Action(
        f"strategy_{name.value}",
        f"strategy('{name.value}')",
        (str(number),),
        f"Serve with the {name.value} strategy",
        SERVING,
    )
    for number, name in enumerate(StrategyName, start=1)
)

ACTIONS: tuple[Action, ...] = (
    *STRATEGY_ACTIONS,
    Action(
        "precision_previous", "precision(-1)", ("[",), "Previous precision", SERVING, "precision"
    ),
    Action("precision_next", "precision(1)", ("]",), "Next precision", SERVING, "precision"),
    Action("load_less", "load(-1)", ("-",), "Less load", LOAD, "load"),
    Action("load_more", "load(1)", ("=", "+"), "More load", LOAD, "load"),
    Action(
        "pause", "pause", ("space",), "Freeze the display; collection goes on", HISTORY, "pause"
    ),
    Action("scrub_back", "scrub(-1)", ("left",), "While frozen: one step back", HISTORY),
    Action("scrub_forward", "scrub(1)", ("right",), "While frozen: one step forward", HISTORY),
    Action(
        "scrub_back_far", "scrub(-10)", ("shift+left",), "While frozen: ten steps back", HISTORY
    ),
    Action(
        "scrub_forward_far",
        "scrub(10)",
        ("shift+right",),
        "While frozen: ten steps forward",
        HISTORY,
    ),
    Action(
        "scrub_start", "scrub_to('start')", ("home",), "While frozen: to the oldest moment", HISTORY
    ),
    Action("scrub_end", "scrub_to('end')", ("end",), "While frozen: to the newest moment", HISTORY),
    Action("live", "live", ("escape",), "Back to the present", HISTORY),
    Action("events", "events", ("e",), "Event log", DISPLAY, "events"),
    Action("window", "window", ("w",), "Next window for percentiles and charts", DISPLAY, "window"),
    Action(
        "snapshot", "snapshot", ("s",), "Save a snapshot: figures and picture", GENERAL, "snapshot"
    ),
    Action(
        "maximize",
        "maximize_panel",
        ("m", "enter"),
        "Maximise the focused panel, or put it back",
        DISPLAY,
    ),
    Action("theme", "next_theme", ("t",), "Next theme", DISPLAY, "theme"),
    Action("help", "help", ("?",), "Keys and what they do", GENERAL, "help"),
    Action("palette", "command_palette", ("ctrl+p",), "Command palette", GENERAL, "palette"),
    Action("quit", "quit", ("q", "ctrl+c"), "Quit", GENERAL, "quit"),
)

_MODIFIERS = frozenset({"ctrl", "shift", "alt", "super", "hyper", "meta"})
_NAMED_KEYS = frozenset(key.value for key in Keys if "+" not in key.value and "<" not in key.value)


@dataclass(frozen=True)
class Keymap:
    """The keys of every action after the user's wishes."""

    keys: Mapping[str, tuple[str, ...]]
    """By action name, as a user would type them."""

    def shown(self, name: str) -> str:
        """The key to show for an action: the first one, as on the keyboard."""
        keys = self.keys[name]
        return keys[0] if keys else ""

    def bindings(self) -> list[Binding]:
        """Textual bindings with the keys of this map, in the order of the help."""
        return [
            Binding(
                ",".join(_textual_key(key) for key in self.keys[action.name]),
                action.call,
                action.footer or action.description,
                show=bool(action.footer),
                key_display=self.shown(action.name),
                id=action.name,
                priority=action.name in {"quit", "palette"},
            )
            for action in ACTIONS
            if self.keys[action.name]
        ]

    def groups(self) -> dict[str, list[tuple[str, str]]]:
        """What the help shows: by group, (keys, description) of each action."""
        groups: dict[str, list[tuple[str, str]]] = {}
        for action in ACTIONS:
            keys = " ".join(self.keys[action.name]) or "none"
            groups.setdefault(action.group, []).append((keys, action.description))
        return groups


DEFAULT_KEYMAP = Keymap({action.name: action.keys for action in ACTIONS})


def remap(wishes: Mapping[str, str | Sequence[str]], source: str) -> Keymap:
    """The default keys with those of `wishes` (action name to key or keys) in their place.

    An empty list takes an action its keys. `source` names the file in errors. Raises
    `KeymapError` on an unknown action or key, and on a key that two actions claim.
    """
    keys = {action.name: action.keys for action in ACTIONS}
    for name, wish in wishes.items():
        if name not in keys:
            known = ", ".join(keys)
            raise KeymapError(f"{source}: keys.{name}: no such action; there are {known}")
        keys[name] = (wish,) if isinstance(wish, str) else tuple(wish)
        for key in keys[name]:
            if not is_key(key):
                raise KeymapError(f"{source}: keys.{name}: {key!r} is no key")
    _refuse_conflicts(keys, wishes, source)
    return Keymap(keys)


def _refuse_conflicts(
    keys: Mapping[str, tuple[str, ...]], wishes: Mapping[str, object], source: str
) -> None:
    owners: dict[str, str] = {}
    for name in sorted(keys, key=lambda name: name in wishes):
        for key in keys[name]:
            owner = owners.setdefault(_textual_key(key), name)
            if owner != name:
                raise KeymapError(
                    f"{source}: keys.{name}: {key!r} already belongs to {owner}; "
                    f"give keys.{owner} another key as well"
                )


def is_key(key: str) -> bool:
    """Whether `key` names a key: a character, a named key, or either after modifiers."""
    modifiers, last = _parts(key)
    if modifiers and not _MODIFIERS.issuperset(modifiers.split("+")):
        return False
    if len(last) == 1:
        return last.isprintable()
    return last in _NAMED_KEYS


def _textual_key(key: str) -> str:
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
