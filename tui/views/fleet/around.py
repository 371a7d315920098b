"""The lines around the table of the Fleet tab: header, order and reason, footer."""

from ...drawing.line import Line, Piece, ends, line, muted, strong
from ...settings.keymap import FLEET, Keymap
from ...state.fleet import INKS, FleetOrder, Group, Row
from ...state.moment import Moment
from ...style.inks import Ink
from ..around import tab_header
from ..keys import clicks_of, fitting_keys
from ..panel import Room

FOOTER_ACTIONS = (
    ("fleet_order", "order"),
    ("fleet_turn", "turn"),
    ("fleet_group", "group"),
    ("fleet_filter", "filter"),
    ("help", "help"),
    ("quit", "quit"),
    ("tab_live", "live"),
    ("tab_production", "production"),
)
"""Action names and their word, the most needed first."""


def fleet_header(moment: Moment, room: Room) -> Line:
    """The tabs, and how the server that is looked at does."""
    return tab_header(FLEET, moment, room, lambda _space: line(""))


def state_line(order: FleetOrder, row: Row | None, room: Room) -> Line:
    """How the table is sorted; at the right what is wrong with the row under the cursor."""
    parts = [muted(" by "), strong(order.order)]
    if order.group is not Group.NONE:
        parts += [muted("  grouped by "), strong(order.group)]
    if order.wanted:
        parts += [muted("  filter "), strong(order.wanted)]
    left = line(*parts)
    if row is None or not row.reason:
        return left
    said = line(Piece(f"{row.word} ", INKS[row.word]), Piece(row.reason, Ink.TEXT), " ")
    return ends(left, said, room.width)


def footer_line(keymap: Keymap, room: Room) -> Line:
    """The keys that work now, as many as fit whole."""
    actions = [(keymap.first_key(name), word) for name, word in FOOTER_ACTIONS]
    arrows = "↑↓" if room.glyphs.unicode else "up/down"
    entries = [("enter", "look at it live"), (arrows, "choose"), *actions]
    return fitting_keys(entries, room.width, clicks_of(FOOTER_ACTIONS))
