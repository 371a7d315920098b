"""Pictures of the Planner tab at the usual sizes; curves of the search are left out.

After a change on purpose: `pytest tests/tui/test_planner_snapshots.py --snapshot-update`, and look.
"""

import asyncio

import pytest
from frames import ScriptedClient, play
from planner_cases import QuickSearch
from prodtop.tui.app import ProdtopApp
from prodtop.tui.app_setup import AppSetup
from prodtop.tui.screens import planner as planner_screen
from prodtop.tui.screens.planner import PlannerScreen
from running_app import SLOW, Clock, SnapCompare
from textual.pilot import Pilot

SIZES = [(80, 24), (120, 36), (160, 48)]
VIEWS = {
    "overview": "o",
    "scaling": "g",
    "layouts": "l",
    "formulas": "f",
    "decision": "d",
    "serving": "a",
    "export": "x",
}
DEADLINE_S = 60.0


@pytest.fixture(autouse=True)
def quick_search(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planner_screen, "SearchClient", QuickSearch)


def compare(
    snap_compare: SnapCompare, size: tuple[int, int], *keys: str, theme: str = "prodtop-dark"
) -> bool:
    """Open the tab, wait for its search, press some keys; whether it looks as it did."""
    client = ScriptedClient(play(2))
    app = ProdtopApp(client, AppSetup(clock=Clock(), config=SLOW, theme=theme))

    async def before(pilot: Pilot[None]) -> None:
        while client.polls:
            app.monitor.poll()
        await pilot.press("P")
        await pilot.press(*keys)
        await pilot.pause()
        screen = app.screen
        assert isinstance(screen, PlannerScreen)
        session = screen.session
        async with asyncio.timeout(DEADLINE_S):
            while session.searched is None or session.searched.done_s is None:
                await asyncio.sleep(0.02)
            # A focus that moved is drawn by messages of its own: wait for a picture that stays.
            last = ""
            while last != (last := app.export_screenshot()):
                await pilot.pause()

    return snap_compare(app, terminal_size=size, run_before=before)


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("view", VIEWS)
def test_views(snap_compare: SnapCompare, view: str, size: tuple[int, int]) -> None:
    keys = ("n",) if view == "overview" else ("n", VIEWS[view])
    assert compare(snap_compare, size, *keys)


def test_an_open_formula(snap_compare: SnapCompare) -> None:
    assert compare(snap_compare, (120, 36), "n", "tab", "down", "enter")


def test_in_ascii(snap_compare: SnapCompare) -> None:
    assert compare(snap_compare, (120, 36), "n", theme="ascii")


def test_in_light_colours(snap_compare: SnapCompare) -> None:
    assert compare(snap_compare, (160, 48), "b", "tab", "down", theme="prodtop-light")


def test_without_colour(snap_compare: SnapCompare) -> None:
    assert compare(snap_compare, (80, 24), "d", theme="mono")


def test_while_typing_what_is_wrong(snap_compare: SnapCompare) -> None:
    keys = ("down", "down", "down", "down", "down", "9", "9")
    assert compare(snap_compare, (120, 36), *keys)
