"""The tabs of the screen, in their order. A tab is listed here once it works."""

from collections.abc import Callable
from dataclasses import dataclass

from ..keymap import Keymap
from .live import LiveScreen
from .tab import TabScreen


@dataclass(frozen=True, slots=True)
class Tab:
    """One tab: its name, the title it is known by, and how its screen is made."""

    name: str
    title: str
    make: Callable[[Keymap], TabScreen]


def _planner(keymap: Keymap) -> TabScreen:
    # Here and not above: the first frame need not wait for a tab that is not in view.
    from .planner import PlannerScreen

    return PlannerScreen(keymap)


TABS: tuple[Tab, ...] = (Tab("live", "Live", LiveScreen), Tab("planner", "Planner", _planner))
