"""The keys and what they do: the footer's line, and the help's list."""

from collections.abc import Mapping, Sequence

from ..drawing.line import EMPTY, Line, Piece, faint, first_fitting, line, muted
from ..settings.keymap import ACTIONS, Keymap
from ..style.inks import Ink

HELP_KEY_WIDTH = 14

FOOTER_ACTIONS = (
    ("strategy_", "strategy"),
    ("precision_", "precision"),
    ("load_", "load"),
    ("help", "help"),
    ("tab_quality", "quality"),
    ("tab_planner", "planner"),
    ("pause", "pause"),
    ("quit", "quit"),
    ("window", "window"),
    ("snapshot", "save"),
    ("theme", "theme"),
    ("events", "events"),
    ("maximize", "maximise"),
    ("palette", "palette"),
    ("scrub_", "scrub"),
)
"""Action names (or their common beginning) and their word, the most needed first."""


def footer_line(keymap: Keymap, width: int) -> Line:
    """The keys of the Live tab, as many as fit whole."""
    entries = [(_keys(keymap, prefix), word) for prefix, word in FOOTER_ACTIONS]
    return fitting_keys(entries, width, clicks_of(FOOTER_ACTIONS))


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
