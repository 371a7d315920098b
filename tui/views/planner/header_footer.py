"""The lines around the planner's panels: header, views, hint and footer."""

from enum import Enum

from ....engine.protocol.wording import counted
from ...drawing.line import (
    EMPTY,
    Line,
    Piece,
    ends,
    first_fitting,
    line,
    muted,
    rule,
    strong,
)
from ...planner.evaluation import Evaluation
from ...planner.form import Form
from ...planner.units import gib, seconds
from ...settings.keymap import PLANNER, Keymap
from ...state.moment import Moment
from ...style.formatting import percent, si
from ...style.inks import Ink
from ..around import centred_in, tab_header
from ..keys import fitting_keys
from ..panel import Room
from .common import verdict
from .field_help import field_hint

VIEW_TITLES = (
    ("overview", "Overview"),
    ("scaling", "Scaling"),
    ("layouts", "Layouts"),
    ("formulas", "Formulas"),
    ("decision", "Decision"),
    ("serving", "Serving"),
    ("export", "Export"),
    ("compare", "Compare"),
)
SHORT_TITLE = 6
"""Letters of the titles of views that are not in sight, where whole ones have no room."""
FOOTER_ACTIONS = (
    ("tab_live", "live"),
    ("help", "help"),
    ("quit", "quit"),
    ("planner_use", "take best"),
    ("planner_growing", "grow batch"),
    ("planner_calibrate", "calibrate"),
    ("maximize", "maximise"),
    ("theme", "theme"),
    ("palette", "palette"),
)
"""Action names and their word, the most needed first."""
SCENARIO_KEYS = (("scenario_1b", "1B"), ("scenario_7b", "7B"), ("scenario_70b", "70B"))


def planner_header(moment: Moment, evaluation: Evaluation | None, room: Room) -> Line:
    """The tabs, the plan in a few words, and whether the engine lives."""

    def planned(space: int) -> Line:
        shown = first_fitting(_plans(evaluation, room), space) if evaluation else EMPTY
        return centred_in(space, shown)

    return tab_header(PLANNER, moment, room, planned)


def _plans(evaluation: Evaluation, room: Room) -> list[Line]:
    """The plan and its verdict, from the fullest to the barest."""
    plan, result = evaluation.plan, evaluation.estimate
    _, ink, sign = verdict(result.memory.total / plan.limit_bytes, room.glyphs)
    dot = rule(f" {room.glyphs.dot} ")
    model = strong(plan.model.name)
    where = line(muted(f"{plan.cluster.gpus} {room.glyphs.times} {plan.cluster.gpu.key}"))
    parts = line(
        Piece(f"{gib(result.memory.total)} GiB {sign}", ink),
        dot,
        seconds(result.step_s),
        dot,
        f"{si(result.tokens_s)} tok/s",
        dot,
        f"MFU {percent(result.mfu())}",
    )
    return [line(model, dot, where, dot, parts), line(model, dot, where), line(model)]


def views_line(view: str, keymap: Keymap, room: Room, *, page: int = 0, pages: int = 1) -> Line:
    """The views with their keys, the one in sight in brackets with which of its `pages` it is; the
    scenarios at the right."""
    chosen = f" {page + 1}/{pages}" if pages > 1 else ""
    forms = [(" ", None), ("", None), ("", SHORT_TITLE)]
    lines = [_views(view, keymap, chosen, *form) for form in forms]
    left = first_fitting(lines, room.width)
    left = left if left.pieces else lines[-1]
    scenarios = line(
        muted("at 32 GPUs "),
        *(
            line(" ", Piece(key, Ink.ACCENT), muted(f" {title} "))
            for name, title in SCENARIO_KEYS
            if (key := keymap.first_key(f"planner_{name}"))
        ),
    )
    return ends(left, scenarios, room.width)


def _views(view: str, keymap: Keymap, chosen: str, gap: str, letters: int | None) -> Line:
    items: list[Line] = []
    for name, title in VIEW_TITLES:
        key = keymap.first_key(f"planner_{name}")
        if name == view:
            text = f"[{key} {title}{chosen}]".replace("[ ", "[")
            items.append(line(" " if items and not gap else "", Piece(text, Ink.SELECTED)))
        else:
            items.append(line(Piece(f" {key}", Ink.ACCENT), muted(f" {title[:letters]}{gap}")))
    return line(*items)


def hint_line(
    form: Form, errors: int, doing: str, note: Line, room: Room, help_key: str = ""
) -> Line:
    """What the chosen field takes, and at the right what is being worked on; or else, where there
    is room, how to get help."""
    if errors and not note.pieces:
        wrong = f"{counted(errors, 'field')} to correct"
        right = line(Piece(wrong, Ink.BAD), " ")
    else:
        right = line(Piece(doing, Ink.MARK), " ") if doing else EMPTY
    beside = Room(room.width - right.width - 1, 1, room.glyphs)
    hint = line(" ", note) if note.pieces else field_hint(form, beside)
    if not right.pieces and help_key:
        right = line(Piece(help_key, Ink.ACCENT), muted(" keys of this tab "))
    return ends(room.clipped(hint), right, room.width)


class Focus(Enum):
    """What has the focus, for the footer to name its keys."""

    TYPING = "typing"
    FORM = "form"
    PICKED = "a field of the form that has a list"
    ROWS = "rows"
    CHART = "chart"


def footer_line(keymap: Keymap, room: Room, focus: Focus) -> Line:
    """The keys that work now, as many as fit whole."""
    up_down, left_right = ("↑↓", "←→") if room.glyphs.unicode else ("up/down", "left/right")
    if focus is Focus.TYPING:
        typing = [("enter", "take"), ("esc", "leave as it was"), ("ctrl+u", "empty")]
        return fitting_keys(typing, room.width)
    entries = {
        Focus.PICKED: [(up_down, "field"), (left_right, "turn"), ("enter", "list")],
        Focus.FORM: [(up_down, "field"), (left_right, "turn"), ("0-9 enter", "type")],
        Focus.CHART: [(left_right, "read"), ("esc", "stop reading")],
        Focus.ROWS: [(up_down, "row"), ("enter", "formula")],
    }[focus]
    actions = [(keymap.first_key(name), word) for name, word in FOOTER_ACTIONS]
    return fitting_keys([*entries, ("tab", "panel"), *actions], room.width)
