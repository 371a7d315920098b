"""Keys while the engine is given up: what needs none works, and what needs one says so."""

from pathlib import Path

import pytest
from frames import frame, host, ready
from prodtop.engine.protocol import (
    ChildDied,
    ChildStarted,
    Report,
    ServerListening,
    StartAgain,
)
from prodtop.tui.settings.keymap import ACTIONS, DEFAULT_KEYMAP, EVERYWHERE, LIVE, TAB_TITLES
from prodtop.tui.state.observer import ANSWERED_FOR_S
from running_app import RunningApp, open_app
from textual.keys import _character_to_key

DIED = ChildDied(child="worker", reason="killed (signal 11)", repeats=3, given_up=True)
STARTS: dict[str, list[list[Report]]] = {
    "served before": [[ready(), frame(), host()], [DIED]],
    "never served": [[host()], [DIED]],
}
NEEDS_ENGINE = (
    "strategy_single",
    "strategy_cached",
    "precision_previous",
    "precision_next",
    "drafts",
    "load_less",
    "load_more",
)
DEATH = "killed (signal 11)"


@pytest.fixture(params=STARTS)
def start(request: pytest.FixtureRequest) -> list[list[Report]]:
    return STARTS[request.param]


async def press(running: RunningApp, action: str) -> None:
    key = DEFAULT_KEYMAP.first_key(action)
    await running.press(_character_to_key(key) if len(key) == 1 else key)


@pytest.mark.parametrize("action", NEEDS_ENGINE)
async def test_a_key_that_needs_the_engine_says_that_there_is_none(
    start: list[list[Report]], action: str
) -> None:
    async with open_app(start) as running:
        assert DEATH in running.line("event")
        await press(running, action)
        assert running.line("event").lstrip().startswith("there is no engine: 3 times the same")
        assert "A tries again" in running.line("event")
        assert running.client.sent == []
        await running.advance(seconds=ANSWERED_FOR_S + 0.1)
        assert DEATH in running.line("event")


@pytest.mark.parametrize(
    ("action", "said"),
    [("theme", "theme "), ("maximize", "choose a panel"), ("snapshot", "s")],
)
async def test_what_a_key_did_is_said(
    start: list[list[Report]], action: str, said: str, tmp_path: Path
) -> None:
    async with open_app(start, snapshot_folder=tmp_path) as running:
        before = running.app.theme
        await press(running, action)
        if action == "snapshot":
            said = "saved 2026" if any(tmp_path.iterdir()) else "nothing to save yet"
        assert said in running.line("event")
        assert (running.app.theme != before) is (action == "theme")


@pytest.mark.parametrize(
    ("action", "opens"),
    [
        ("help", "HelpScreen"),
        ("events", "EventsScreen"),
        ("palette", "Palette"),
        ("tab_quality", "QualityScreen"),
        ("tab_compare", "CompareScreen"),
        ("tab_planner", "PlannerScreen"),
    ],
)
async def test_dialogs_and_tabs_open(start: list[list[Report]], action: str, opens: str) -> None:
    async with open_app(start) as running:
        await press(running, action)
        assert type(running.app.screen).__name__ == opens


async def test_from_the_planner_and_back(start: list[list[Report]]) -> None:
    async with open_app(start) as running:
        await press(running, "tab_planner")
        await press(running, "planner_layouts")
        await press(running, "tab_live")
        assert running.app.current_mode == LIVE
        assert DEATH in running.line("event")


async def test_it_ends_with_q_and_starts_again(start: list[list[Report]]) -> None:
    async with open_app(start) as running:
        await press(running, "start_again")
        assert running.client.sent == [StartAgain()]
        await running.advance([ChildStarted(child="worker", pid=7, attempt=4)])
        await press(running, "load_more")
        assert "not yet: the engine is starting" in running.line("event")
        await press(running, "quit")
        assert not running.app.is_running


async def test_every_key_of_the_live_tab_works(tmp_path: Path) -> None:
    """None of them ends the screen, and the death is in sight again after each."""
    async with open_app(STARTS["served before"], snapshot_folder=tmp_path) as running:
        for action in ACTIONS:
            if action.tab not in (EVERYWHERE, LIVE) or action.name in {"quit", "suspend"}:
                continue
            await press(running, action.name)
            assert running.app.is_running, action.name
            while running.app.screen.id not in TAB_TITLES:
                await running.press("escape")
            if running.app.current_mode != LIVE:
                await press(running, "tab_live")
            await running.press("escape")
            await running.advance(seconds=ANSWERED_FOR_S + 0.1)
            assert DEATH in running.line("event"), action.name


async def test_a_server_that_ended_for_good_is_told_and_started_again() -> None:
    """Its port was taken while it was away: the engine serves on."""
    down = ChildDied(child="server", reason="port 8000 is taken: give --port another")
    began = ChildStarted(child="server", pid=7, attempt=1)
    async with open_app([[ready(), frame(), host(), began], [down]]) as running:
        assert "SERVER DOWN  port 8000 is taken" in running.line("header")
        await press(running, "start_again")
        assert running.client.sent == [StartAgain()]
        listening = ServerListening(url="http://127.0.0.1:8000", port=8000)
        await running.advance([ChildStarted(child="server", pid=8, attempt=2), listening, frame()])
        assert "SERVER DOWN" not in running.line("header")
        assert "the server listens at http://127.0.0.1:8000/v1" in running.line("event")
