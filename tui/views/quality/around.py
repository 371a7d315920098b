"""The lines around the panels of the Quality tab: header, views and footer."""

from ...drawing.line import EMPTY, Line, Piece, ends, faint, first_fitting, line, muted, strong
from ...settings.keymap import QUALITY, Keymap
from ...state.moment import Moment
from ...style.inks import Ink
from ..header import health_cells, health_line, tabs_line
from ..keys import clicks_of, fitting_keys
from ..panel import Room

VIEW_TITLES = (
    ("overview", "Levels"),
    ("charts", "Charts"),
    ("layers", "Layers"),
    ("texts", "Texts"),
)
FOOTER_ACTIONS = (
    ("quality_begin", "measure"),
    ("quality_serve", "serve at it"),
    ("tab_live", "live"),
    ("tab_planner", "planner"),
    ("help", "help"),
    ("quit", "quit"),
    ("maximize", "maximise"),
    ("theme", "theme"),
    ("palette", "palette"),
)
"""Action names and their word, the most needed first."""


LEVELS, MATRICES, ROWS = "level", "matrix", "scroll"
"""What arrows go through."""


def quality_header(moment: Moment, room: Room) -> Line:
    """The tabs, the model and what it is served at, and whether the engine lives."""
    left = line(" ", Piece("prodtop", Ink.ACCENT), "  ", tabs_line(QUALITY))
    cells = health_cells(room.width, left.width)
    space = room.width - left.width - cells - 4
    middle = EMPTY
    if moment.frame is not None:
        frame, dot = moment.frame, faint(f" {room.glyphs.dot} ")
        model = strong(frame.model.name)
        served = line(muted("served at "), frame.precision)
        device = line(muted(frame.device_name))
        middle = first_fitting(
            [line(model, dot, served, dot, device), line(model, dot, served), line(model)], space
        )
    beside = line(left, " " * ((space - middle.width) // 2 + 2), middle)
    return line(beside.fitted(room.width - cells), health_line(moment, cells, room))


def views_line(view: str, chosen: str, keymap: Keymap, room: Room) -> Line:
    """The views with their keys, the one in sight in brackets; the level shown at the right."""
    items = []
    for name, title in VIEW_TITLES:
        key, click = keymap.first_key(f"quality_{name}"), f"screen.view('{name}')"
        if name == view:
            items.append(line(Piece(f"[{key} {title}]".replace("[ ", "["), Ink.SELECTED, click)))
        else:
            items.append(
                line(Piece(f" {key}", Ink.ACCENT, click), muted(f" {title} ")._replace(click=click))
            )
    keys = [keymap.first_key(f"quality_{name}") for name in ("previous", "next")]
    level = line(Piece(" ".join(filter(None, keys)), Ink.ACCENT), muted(" level "), strong(chosen))
    return ends(line(*items), line(level, " "), room.width)


def footer_line(keymap: Keymap, room: Room, *, running: bool, moves: str) -> Line:
    """The keys that work now, as many as fit whole. `moves`: what the arrows go through in the
    panel with the focus."""
    up_down, all_four = ("↑↓", "↑↓←→") if room.glyphs.unicode else ("up/down", "arrows")
    words = {"measure": "cancel"} if running else {}
    actions = [(keymap.first_key(name), words.get(word, word)) for name, word in FOOTER_ACTIONS]
    clicks = clicks_of(FOOTER_ACTIONS)
    clicks["cancel"] = clicks["measure"]
    arrows = (all_four if moves == MATRICES else up_down, moves)
    return fitting_keys([actions[0], arrows, ("tab", "panel"), *actions[1:]], room.width, clicks)
