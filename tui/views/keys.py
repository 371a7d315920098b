"""The keys and what they do: the footer's line, and the help's list."""

from collections.abc import Mapping, Sequence
from enum import Enum

from ..drawing.line import EMPTY, Line, Piece, faint, first_fitting, line, muted
from ..settings.keymap import ACTIONS, EVERYWHERE, FLEET_TITLE, TAB_TITLES, Keymap
from ..style.formatting import duration
from ..style.glyphs import Glyphs
from ..style.inks import Ink

HELP_KEY_WIDTH = 16
DIALOG_WIDTH, DIALOG_MARGINS = 76, 6
"""Of a dialog in the style sheet, and what its frame and its scroll bar take of it."""

FOOTER_ACTIONS = (
    ("strategy_", "strategy"),
    ("precision_", "precision"),
    ("load_", "load"),
    ("help", "help"),
    ("quit", "quit"),
    ("requests_table", "requests"),
    ("tab_compare", "compare"),
    ("tab_quality", "quality"),
    ("tab_planner", "planner"),
    ("pause", "pause"),
    ("window", "window"),
    ("latency_shape", "shape"),
    ("snapshot", "save"),
    ("tab_sessions", "sessions"),
    ("theme", "theme"),
    ("events", "events"),
    ("tried", "tried"),
    ("tab_production", "production"),
    ("maximize", "maximise"),
    ("palette", "palette"),
    ("scrub_", "scrub"),
)
"""Action names (or their common beginning) and their word, the most needed first."""


LOADED_FOOTER_ACTIONS = tuple(
    (name, word)
    for name, word in FOOTER_ACTIONS
    if name not in ("strategy_", "precision_", "tab_compare", "tab_quality", "tried")
)
"""The same of another's server, whose settings prodtop does not change, under its load."""
ATTACHED_FOOTER_ACTIONS = tuple(each for each in LOADED_FOOTER_ACTIONS if each[0] != "load_")
"""… and without."""


REQUESTS_FOOTER_ACTIONS = (
    ("requests_up", ""),
    ("requests_down", "choose"),
    ("requests_open", "open"),
    ("requests_close", "close"),
    ("requests_order", "order"),
    ("requests_turn", "turn"),
    ("requests_filter", "filter"),
    ("requests_table", "whole table"),
    ("help", "help"),
    ("quit", "quit"),
)
"""The same while the table of requests has the focus."""


PAST_FOOTER_ACTIONS = (
    ("live", "now"),
    ("scrub_", "walk"),
    ("next_stop", "next event"),
    ("previous_stop", "before"),
    ("go_to", "go to"),
    ("search_events", "search"),
    ("zoom_in", "zoom in"),
    ("zoom_out", "out"),
    ("events", "events"),
    ("note", "note"),
    ("snapshot", "save"),
    ("help", "help"),
    ("quit", "quit"),
)
"""The same while the past is shown."""
REPLAY_FOOTER_ACTIONS = (
    ("pause", "play"),
    ("frame_back", ""),
    ("frame_forward", "frame"),
    ("slower", ""),
    ("faster", "speed"),
    ("help", "help"),
    ("quit", "quit"),
    *((name, word) for name, word in PAST_FOOTER_ACTIONS[1:] if name not in ("help", "quit")),
    ("tried", "tried"),
    ("requests_table", "requests"),
    ("tab_compare", "compare"),
    ("tab_quality", "quality"),
    ("window", "window"),
    ("theme", "theme"),
)
"""The same of a recording: nothing that would change an engine."""


class Shown(Enum):
    """What the Live tab shows, as far as its footer speaks of it."""

    NOW = "now"
    PAST = "past"
    RECORDING = "recording"
    REQUESTS = "requests"
    ATTACHED = "attached"
    LOADED = "loaded"


_FOOTERS = {
    Shown.NOW: FOOTER_ACTIONS,
    Shown.ATTACHED: ATTACHED_FOOTER_ACTIONS,
    Shown.LOADED: LOADED_FOOTER_ACTIONS,
    Shown.PAST: PAST_FOOTER_ACTIONS,
    Shown.RECORDING: REPLAY_FOOTER_ACTIONS,
    Shown.REQUESTS: REQUESTS_FOOTER_ACTIONS,
}


def footer_line(keymap: Keymap, width: int, shown: Shown = Shown.NOW) -> Line:
    """The keys of the Live tab, or those of its table of requests, as many as fit whole."""
    actions = _FOOTERS[shown]
    entries = [(_keys(keymap, prefix), word) for prefix, word in actions]
    return fitting_keys(entries, width, clicks_of(actions))


def past_line(keymap: Keymap, width: int, behind_s: float, glyphs: Glyphs) -> Line:
    """The footer while the past is shown: how long ago it is first, and the key back."""
    sign = f" {glyphs.paused} {duration(behind_s)} AGO "
    return line(Piece(sign, Ink.WARN), footer_line(keymap, width - len(sign), Shown.PAST))


def fitting_keys(
    entries: Sequence[tuple[str, str]], width: int, clicks: Mapping[str, str] | None = None
) -> Line:
    """Keys, each with its word, as many from the left as fit whole; those without a key are left
    out. `clicks`: by word, the action that a click on it runs."""
    by_word = clicks or {}
    pairs = [
        line(
            Piece(key, Ink.ACCENT, by_word.get(word, "")),
            muted(f" {word}")._replace(click=by_word.get(word, "")),
        )
        for key, word in entries
        if key
    ]
    return first_fitting(
        (
            line(" ", *(line(pair, faint("  ")) for pair in pairs[:count]))
            for count in range(len(pairs), 0, -1)
        ),
        width,
    )


def clicks_of(footer: Sequence[tuple[str, str]]) -> dict[str, str]:
    """By word of a footer, the action that a click on it runs; none where it stands for several."""
    targets = {action.name: action.target for action in ACTIONS}
    return {word: targets[name] for name, word in footer if name in targets}


def _keys(keymap: Keymap, prefix: str) -> str:
    """The keys of the actions of one word: `1-6`, `[ ]`."""
    names = [
        name
        for name in keymap.keys
        if name == prefix or (prefix.endswith("_") and name.startswith(prefix))
    ]
    keys = [key for name in names if (key := keymap.first_key(name))]
    if prefix == "scrub_":
        keys = keys[:2]
    return f"{keys[0]}-{keys[-1]}" if len(keys) > 2 else " ".join(keys)


def help_width(terminal_width: int) -> int:
    """The cells that a line of the help has."""
    return min(DIALOG_WIDTH, terminal_width) - DIALOG_MARGINS


def help_lines(keymap: Keymap, tab: str, about: Sequence[Line] = ()) -> list[Line]:
    """Every action by group, its keys before what it does: those of the tab at hand first, then
    those of all tabs, then the other tabs'. `about` is what to say before all."""
    titles = TAB_TITLES | FLEET_TITLE
    others = [name for name in titles if name != tab]
    lines = [*about, EMPTY] if about else []
    for name in (tab, EVERYWHERE, *others):
        where = f"In the {titles[name]} tab" if name else "In every tab"
        lines.append(line(Piece(where, Ink.TITLE)))
        for group, entries in keymap.groups(name).items():
            lines.append(line(muted(f"  {group}")))
            lines += [_help_line(keys, description) for keys, description in entries]
        if not name:
            lines.append(_help_line("tab", "Next panel; shift+tab the one before"))
        lines.append(EMPTY)
    return lines[:-1]


def _help_line(keys: str, description: str) -> Line:
    return line(Piece(f"    {keys}".ljust(HELP_KEY_WIDTH), Ink.ACCENT), " ", description)
