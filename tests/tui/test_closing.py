"""What still comes in while the app closes: the panels of a tab go before the tab itself."""

from collections.abc import Callable

import pytest
from frames import ScriptedClient, play
from planner_cases import QuickSearch
from prodtop.tui.app import ProdtopApp
from prodtop.tui.app_setup import AppSetup
from prodtop.tui.planner.search_messages import Finding
from prodtop.tui.screens import planner as planner_screen
from prodtop.tui.screens.planner import PlannerScreen
from prodtop.tui.widgets.form_panel import FormPanel
from prodtop.tui.widgets.lines import LinesView
from running_app import SLOW


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> ProdtopApp:
    monkeypatch.setattr(planner_screen, "SearchClient", QuickSearch)
    return ProdtopApp(ScriptedClient(play(2)), AppSetup(config=SLOW, theme="prodtop-dark"))


@pytest.mark.parametrize("key", ["L", "P"])
async def test_a_tick_while_the_panels_go_draws_nothing(
    app: ProdtopApp, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    went = []

    def tick(panel: LinesView) -> None:
        went.append(panel)
        app.draw()

    async with app.run_test() as pilot:
        app.tick()
        await pilot.press(key)
        await pilot.pause()
        monkeypatch.setattr(LinesView, "on_unmount", tick, raising=False)
    assert len(went) > 1


async def test_what_helpers_say_while_the_panels_go_is_not_drawn(
    app: ProdtopApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The search and the form's messages come from tasks of their own."""
    went = []
    searches: list[QuickSearch] = []

    class KnownSearch(QuickSearch):
        def __init__(
            self, on_found: Callable[[Finding], None], on_failed: Callable[[str], None]
        ) -> None:
            super().__init__(on_found, on_failed)
            searches.append(self)

    monkeypatch.setattr(planner_screen, "SearchClient", KnownSearch)
    async with app.run_test() as pilot:
        app.tick()
        await pilot.press("P")
        await pilot.pause()
        screen = app.screen
        assert isinstance(screen, PlannerScreen)

        def speak(panel: LinesView) -> None:
            went.append(panel)
            searches[0].on_failed("the search ended by itself")
            screen.on_form_panel_changed(FormPanel.Changed(screen.session.form, selection=False))

        monkeypatch.setattr(LinesView, "on_unmount", speak, raising=False)
    assert len(went) > 1
