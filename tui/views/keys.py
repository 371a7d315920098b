"""The keys and what they do: the footer's line, and the help's list."""

from collections.abc import Sequence

from ..drawing.line import EMPTY, Line, Piece, faint, first_fitting, line, muted
from ..settings.keymap import Keymap
from ..style.inks import Ink

HELP_KEY_WIDTH = 14

FOOTER_ACTIONS = (
    ("strategy_", "strategy"),
    ("precision_", "precision"),
    ("load_", "load"),
    ("help", "help"),
    ("requests_table", "requests"),
    ("tab_planner", "planner"),
    ("pause", "pause"),
    ("quit", "quit"),
    ("window", "window"),
    ("latency_shape", "shape"),
    ("snapshot", "save"),
    ("theme", "theme"),
    ("events", "events"),
    ("maximize", "maximise"),
    ("palette", "palette"),
    ("scrub_", "scrub"),
)
"""Action names (or their common beginning) and their word, the most needed first."""


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


def footer_line(keymap: Keymap, width: int, *, requests: bool = False) -> Line:
    """The keys of the Live tab, or those of its table of `requests`, as many as fit whole."""
    actions = REQUESTS_FOOTER_ACTIONS if requests else FOOTER_ACTIONS
    return fitting_keys([(_keys(keymap, prefix), word) for prefix, word in actions], width)


def fitting_keys(entries: Sequence[tuple[str, str]], width: int) -> Line:
    """Keys, each with its word, as many from the left as fit whole; those without a key are left
    out."""
    pairs = [line(Piece(key, Ink.ACCENT), muted(f" {word}")) for key, word in entries if key]
    return first_fitting(
        (
            line(" ", *(line(pair, faint("  ")) for pair in pairs[:count]))
            for count in range(len(pairs), 0, -1)
        ),
        width,
    )


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


def help_lines(keymap: Keymap) -> list[Line]:
    """Every action by group, its keys before what it does."""
    lines: list[Line] = []
    for group, entries in keymap.groups().items():
        if lines:
            lines.append(EMPTY)
        lines.append(line(Piece(group, Ink.TITLE)))
        lines += [
            line(Piece(f"  {keys}".ljust(HELP_KEY_WIDTH), Ink.ACCENT), " ", description)
            for keys, description in entries
        ]
    return [*lines, EMPTY, line(muted("tab and shift+tab choose a panel"))]
