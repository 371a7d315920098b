"""The tabs that are made when they first come into view: the first frame need not wait for what
they import."""

from collections.abc import Callable, Mapping

from ..settings.keymap import COMPARE, FLEET, PLANNER, PRODUCTION, QUALITY, SESSIONS, Keymap
from ..state.monitor import Monitor
from .tab import TabScreen

MakeTab = Callable[[Keymap, Monitor], TabScreen]


def _compare(keymap: Keymap, monitor: Monitor) -> TabScreen:
    from .compare import CompareScreen

    return CompareScreen(keymap, monitor)


def _quality(keymap: Keymap, monitor: Monitor) -> TabScreen:
    from .quality import QualityScreen

    return QualityScreen(keymap, monitor)


def _planner(keymap: Keymap, monitor: Monitor) -> TabScreen:
    from .planner import PlannerScreen

    prices = monitor.config.prices
    own_prices = {gpu: table.price() for gpu, table in prices.items()}
    return PlannerScreen(keymap, own_prices, monitor.plan_texts)


def _production(keymap: Keymap, monitor: Monitor) -> TabScreen:
    from .production import ProductionScreen

    return ProductionScreen(keymap, monitor)


def _sessions(keymap: Keymap, monitor: Monitor) -> TabScreen:
    from .sessions import SessionsScreen

    return SessionsScreen(keymap, monitor)


def _fleet(keymap: Keymap, monitor: Monitor) -> TabScreen:
    from .fleet import FleetScreen

    return FleetScreen(keymap, monitor)


LATER_TABS: Mapping[str, MakeTab] = {
    COMPARE: _compare,
    QUALITY: _quality,
    PLANNER: _planner,
    PRODUCTION: _production,
    SESSIONS: _sessions,
    FLEET: _fleet,
}
