"""What still comes in while the app closes: the panels of a tab go before the tab itself."""

import pytest
from frames import ScriptedClient, play
from planner_cases import QuickSearch
from prodtop.tui.app import ProdtopApp
from prodtop.tui.screens import planner as planner_screen
from prodtop.tui.screens.planner import PlannerScreen
from prodtop.tui.settings.config import Config
from prodtop.tui.widgets.lines import LinesView

SELDOM = Config(refresh_hz=0.5)


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> ProdtopApp:
    monkeypatch.setattr(planner_screen, "SearchClient", QuickSearch)
    return ProdtopApp(ScriptedClient(play(2)), config=SELDOM, theme="prodtop-dark")


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
    """The search and the calibration speak from tasks of their own."""
    went = []
    async with app.run_test() as pilot:
        app.tick()
        await pilot.press("P")
        await pilot.pause()
        screen = app.screen
        assert isinstance(screen, PlannerScreen)

        def speak(panel: LinesView) -> None:
            went.append(panel)
            screen._say("the search ended by itself")
            screen._take_form(screen._session.form)

        monkeypatch.setattr(LinesView, "on_unmount", speak, raising=False)
    assert len(went) > 1
