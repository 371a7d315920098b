"""The tabs that were opened: how each is looked at, for a snapshot."""

from collections.abc import Callable

from ..state.snapshot import Seen
from .tab import TabScreen


class OpenedTabs:
    """Makes tabs as they come into view, and knows them from then on."""

    def __init__(self) -> None:
        self._tabs: dict[str, TabScreen] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._tabs

    def make(self, name: str, make: Callable[[], TabScreen]) -> TabScreen:
        """Make a tab."""
        self._tabs[name] = make()
        return self._tabs[name]

    def seen(self, theme: str, current: str) -> Seen:
        """What a snapshot keeps of the theme and the tabs; `current` is the one in view."""
        opened = {name: tab for name, tab in self._tabs.items() if tab.can_draw}
        plans = [plan for tab in opened.values() if (plan := tab.plan()) is not None]
        return Seen(
            theme,
            current,
            {name: tab.view_state() for name, tab in opened.items()},
            plans[0] if plans else None,
        )
