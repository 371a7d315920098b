"""What keys are answered while the display is frozen."""

from collections.abc import Callable
from pathlib import Path

import pytest
from frames import ScriptedClient, play
from prodtop.engine.protocol import (
    Note,
    PrecisionName,
    StrategyName,
)
from prodtop.tui.state.monitor import Monitor
from prodtop.tui.state.observer import ANSWERED_FOR_S
from prodtop.tui.style.glyphs import UNICODE
from prodtop.tui.views.events import event_line
from prodtop.tui.views.panel import Room
from running_app import Clock, open_app

ROOM = Room(120, 1, UNICODE)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def client() -> ScriptedClient:
    return ScriptedClient(play(20))


@pytest.fixture
def frozen(client: ScriptedClient, clock: Clock) -> Monitor:
    """A monitor that stands ten seconds back."""
    monitor = Monitor(client, clock=clock)
    while client.polls:
        clock.now_s += 0.25
        monitor.poll()
    monitor.playhead.scrub(-10)
    return monitor


@pytest.mark.parametrize(
    ("press", "words"),
    [
        (lambda monitor: monitor.choose_strategy(StrategyName.BATCHED), "batched"),
        (lambda monitor: monitor.choose_precision(PrecisionName.INT8), "int8"),
        (lambda monitor: monitor.step_load(1), "48 users"),
        (lambda monitor: monitor.step_load(-1), "24 users"),
        (lambda monitor: monitor.toggle_drafts(), "4 drafts"),
    ],
)
def test_a_key_that_acts_on_the_engine_returns_to_the_present_and_says_so(
    frozen: Monitor, client: ScriptedClient, press: Callable[[Monitor], None], words: str
) -> None:
    press(frozen)
    assert len(client.sent) == 1
    assert not frozen.playhead.frozen
    assert f"back to the present: asked for {words}" in event_line(frozen.moment(), ROOM).plain


def test_a_key_that_does_nothing_is_answered_where_the_display_stands(
    frozen: Monitor, client: ScriptedClient, clock: Clock
) -> None:
    frozen.choose_strategy(StrategyName.HYBRID)
    assert client.sent == []
    assert frozen.playhead.frozen
    assert "hybrid is the strategy in use  " in event_line(frozen.moment(), ROOM).plain
    clock.now_s += ANSWERED_FOR_S + 1
    assert "in use" not in event_line(frozen.moment(), ROOM).plain


def test_an_answer_outlasts_a_note_and_not_a_switch(
    frozen: Monitor, client: ScriptedClient, clock: Clock
) -> None:
    frozen.playhead.go_live()
    frozen.say("saved")
    client.queue(Note(message="a note"))
    frozen.poll()
    assert "saved" in event_line(frozen.moment(), ROOM).plain
    client.queue(*(report for poll in play(3) for report in poll))
    frozen.poll()
    assert "strategy: " in event_line(frozen.moment(), ROOM).plain


async def test_s_says_what_it_saved_and_where_also_while_frozen(tmp_path: Path) -> None:
    async with open_app(play(10), snapshot_folder=tmp_path, size=(160, 36)) as running:
        known: set[str] = set()
        for keys in (("s",), ("space", "left", "s")):
            await running.press(*keys)
            (name,) = {path.name for path in tmp_path.glob("*.json")} - known
            known.add(name)
            assert f"saved {name} (figures) and .svg (picture) in " in running.line("event")
