"""What there is a picture of: scenes of the tabs, each with the keys that lead there and back."""

from collections.abc import Callable
from dataclasses import dataclass

from prodtop.engine.protocol import RequestState, Window
from prodtop.tui.app import ProdtopApp
from prodtop.tui.screens.planner import PlannerScreen
from prodtop.tui.screens.sessions import SessionsScreen
from prodtop.tui.settings.config import Config
from prodtop.tui.settings.keymap import LIVE, PLANNER, PRODUCTION, SESSIONS, TAB_TITLES
from prodtop.tui.state.request_table import Order, Shown

SIZES = ((120, 36), (160, 48))
"""Columns and rows of each scene's pictures."""


def _at_once(_app: ProdtopApp) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Scene:
    """A picture of a tab: `keys` bring it into view there, `back` undo what they did."""

    name: str
    tab: str
    keys: tuple[str, ...] = ()
    back: tuple[str, ...] = ()
    ready: Callable[[ProdtopApp], bool] = _at_once
    """Whether what it shows has come: asked again and again."""

    def file_name(self, columns: int, rows: int) -> str:
        """The picture's name."""
        return f"{self.name}-{columns}x{rows}.svg"


def _searched(app: ProdtopApp) -> bool:
    """The planner's search has found all that it looks for."""
    screen = app.screen
    if not isinstance(screen, PlannerScreen):
        return False
    searched = screen.session.searched
    return searched is not None and searched.done_s is not None


def _has_requests(app: ProdtopApp) -> bool:
    """The worker has told of requests that run, and of some that ended."""
    states = {row.state for row in app.monitor.moment().requests.rows}
    return {RequestState.DECODE, RequestState.FINISHED} <= states


def _told(app: ProdtopApp) -> bool:
    """The worker has told the timeline that was asked for."""
    told = app.monitor.moment().requests.timeline
    return told is not None and told.state is not None


def _has_kept(app: ProdtopApp) -> bool:
    """What was saved has been read."""
    screen = app.screen
    if not isinstance(screen, SessionsScreen):
        return False
    screen.look()
    return bool(screen.sessions.rows) and not screen.sessions.unread


_WINDOWS = list(Window)
_TO_SESSION = (_WINDOWS.index(Window.SESSION) - _WINDOWS.index(Config().window)) % len(_WINDOWS)
_TO_FINISHED = list(Shown).index(Shown.FINISHED)
_TO_E2E = list(Order).index(Order.E2E)
_SLOWEST = ("R", *"f" * _TO_FINISHED, *"o" * _TO_E2E, "down", "enter")
"""The whole table, those that finished, the slowest first, the first of them, opened."""
_SLOWEST_BACK = (
    "escape",
    "escape",
    *"f" * (len(Shown) - _TO_FINISHED),
    *"o" * (len(Order) - _TO_E2E),
    "R",
)

SCENES: dict[str, tuple[Scene, ...]] = {
    LIVE: (
        # From the start, so that the switches are on the charts.
        Scene("live", LIVE, ("w",) * _TO_SESSION, ("w",) * (len(Window) - _TO_SESSION)),
        Scene("events", LIVE, ("e",), ("escape",)),
        Scene("requests", LIVE, ("R",), ("R",), _has_requests),
        Scene("timeline", LIVE, _SLOWEST, _SLOWEST_BACK, _told),
    ),
    PLANNER: (
        # The 7B scenario: the search for it is waited for once. The view that the tab opens with
        # comes last: the key of the one in view turns its pages.
        Scene("planner-scaling", PLANNER, ("b", "g"), (), _searched),
        *(
            Scene(f"planner-{view}", PLANNER, (key,))
            for view, key in (
                ("layouts", "l"),
                ("formulas", "f"),
                ("decision", "d"),
                ("compare", "w"),
                ("serving", "a"),
                ("export", "x"),
                ("overview", "o"),
            )
        ),
    ),
    PRODUCTION: tuple(
        Scene(f"production-{view}", PRODUCTION, (key,))
        # The view that the tab opens with comes last here too.
        for view, key in (("cost", "c"), ("capacity", "a"), ("readiness", "i"), ("targets", "o"))
    ),
    # A snapshot is saved first, and shown.
    SESSIONS: (Scene("sessions", SESSIONS, ("s",), (), _has_kept),),
}
"""The scenes of the tabs that have more than one, in the order they are shown in."""


def scenes_of(tab: str) -> tuple[Scene, ...]:
    """The scenes of a tab; one that has none of its own is shown as it opens."""
    return SCENES.get(tab, (Scene(name=tab, tab=tab),))


def all_scenes() -> tuple[Scene, ...]:
    """Every picture."""
    return tuple(scene for tab in TAB_TITLES for scene in scenes_of(tab))
