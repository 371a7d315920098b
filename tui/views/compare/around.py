"""The lines around the panels of the Compare tab: header, views and footer."""

from ....engine.compare.metrics import METRICS
from ....engine.compare.tables import heading
from ....engine.protocol import describe_load
from ...drawing.line import Line, first_fitting, in_glyphs, line, muted, strong
from ...settings.keymap import COMPARE, Keymap
from ...state.moment import Moment
from ..around import tab_header, views_bar
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

    def compared(space: int) -> Line:
        if moment.frame is None or space < LEAST_MIDDLE:
            return line("  ")
        load = moment.compare.load or moment.frame.load
        name = strong(moment.frame.model.name)
        if load is None:
            return line("  ", name)
        under = muted(f"  {in_glyphs(describe_load(load), room.glyphs)}")
        return line("  ", first_fitting([line(name, under), line(name)], space))

    return tab_header(COMPARE, moment, room, compared)


def views_line(view: str, metric: str, keymap: Keymap, room: Room) -> Line:
    """The views with their keys, the one in sight in brackets; the metric at the right."""
    shown = line(strong(in_glyphs(heading(METRICS[metric]), room.glyphs)))
    return views_bar(COMPARE, VIEW_TITLES, view, keymap, room, turns="metric", shown=shown)


def footer_line(keymap: Keymap, room: Room, *, running: bool, cells: bool) -> Line:
    """The keys that work now, as many as fit whole. `cells`: the arrows go over the matrix."""
    up_down, all_four = ("↑↓", "↑↓←→") if room.glyphs.unicode else ("up/down", "arrows")
    hidden = "measure" if running else "stop"
    actions = [(keymap.first_key(name), word) for name, word in FOOTER_ACTIONS if word != hidden]
    arrows = (all_four, "cell") if cells else (up_down, "scroll")
    entries = [actions[0], arrows, *actions[1:3], ("tab", "panel"), *actions[3:]]
    return fitting_keys(entries, room.width, clicks_of(FOOTER_ACTIONS))
