"""The lines around the panels of the Compare tab: header, views and footer."""

from ....engine.compare.metrics import METRICS
from ....engine.compare.tables import heading
from ....engine.protocol import describe_load
from ...drawing.line import EMPTY, Line, Piece, ends, first_fitting, in_glyphs, line, muted, strong
from ...settings.keymap import COMPARE, Keymap
from ...state.moment import Moment
from ...style.inks import Ink
from ..header import health_cells, health_line, tabs_line
from ..keys import clicks_of, fitting_keys
from ..panel import Room

VIEW_TITLES = (("matrix", "Matrix"), ("bars", "Bars"), ("findings", "Findings"))
FOOTER_ACTIONS = (
    ("compare_begin", "measure"),
    ("compare_cancel", "stop"),
    ("compare_next", "metric"),
    ("compare_baseline", "baseline"),
    ("tab_live", "live"),
    ("tab_planner", "planner"),
    ("help", "help"),
    ("quit", "quit"),
    ("maximize", "maximise"),
    ("theme", "theme"),
    ("palette", "palette"),
)
"""Action names and their word, the most needed first."""
LEAST_MIDDLE = 24


def compare_header(moment: Moment, room: Room) -> Line:
    """The tabs, the model and the load that is compared under, and how the engine does."""
    left = line(" ", Piece("prodtop", Ink.ACCENT), "  ", tabs_line(COMPARE))
    cells = health_cells(room.width, left.width)
    space = room.width - left.width - cells - 4
    middle = EMPTY
    if moment.frame is not None and space >= LEAST_MIDDLE:
        load = moment.compare.load or moment.frame.load
        name = strong(moment.frame.model.name)
        under = muted(f"  {describe_load(load)}")
        middle = first_fitting([line(name, under), line(name)], space)
    beside = line(left, "  ", middle).fitted(room.width - cells)
    return line(beside, health_line(moment, cells, room))


def views_line(view: str, metric: str, keymap: Keymap, room: Room) -> Line:
    """The views with their keys, the one in sight in brackets; the metric at the right."""
    items = []
    for name, title in VIEW_TITLES:
        key, click = keymap.first_key(f"compare_{name}"), f"screen.view('{name}')"
        if name == view:
            items.append(line(Piece(f"[{key} {title}]".replace("[ ", "["), Ink.SELECTED, click)))
        else:
            items.append(
                line(Piece(f" {key}", Ink.ACCENT, click), muted(f" {title} ")._replace(click=click))
            )
    keys = [keymap.first_key(f"compare_{name}") for name in ("previous", "next")]
    shown = in_glyphs(heading(METRICS[metric]), room.glyphs)
    right = line(Piece(" ".join(filter(None, keys)), Ink.ACCENT), muted(" metric "), strong(shown))
    return ends(line(*items), line(right, " "), room.width)


def footer_line(keymap: Keymap, room: Room, *, running: bool, cells: bool) -> Line:
    """The keys that work now, as many as fit whole. `cells`: the arrows go over the matrix."""
    up_down, all_four = ("↑↓", "↑↓←→") if room.glyphs.unicode else ("up/down", "arrows")
    hidden = "measure" if running else "stop"
    actions = [(keymap.first_key(name), word) for name, word in FOOTER_ACTIONS if word != hidden]
    arrows = (all_four, "cell") if cells else (up_down, "scroll")
    entries = [actions[0], arrows, *actions[1:3], ("tab", "panel"), *actions[3:]]
    return fitting_keys(entries, room.width, clicks_of(FOOTER_ACTIONS))
