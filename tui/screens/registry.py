"""The tabs of the screen, in their order. A tab is listed here once it works."""

from collections.abc import Callable
from dataclasses import dataclass

from ..settings.config import Config
from ..settings.keymap import Keymap
from .live import LiveScreen
from .tab import TabScreen


@dataclass(frozen=True, slots=True)
class Tab:
    """One tab: its name, the title it is known by, and how its screen is made."""

    name: str
    title: str
    make: Callable[[Keymap, Config], TabScreen]


def _live(keymap: Keymap, config: Config) -> TabScreen:
    return LiveScreen(keymap)


def _planner(keymap: Keymap, config: Config) -> TabScreen:
    # Here and not above: the first frame need not wait for a tab that is not in view.
    from .planner import PlannerScreen

    own_prices = {gpu: table.price() for gpu, table in config.prices.items()}
    return PlannerScreen(keymap, own_prices)


TABS: tuple[Tab, ...] = (Tab("live", "Live", _live), Tab("planner", "Planner", _planner))
