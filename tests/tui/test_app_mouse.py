"""What answers to a click: everything around the panels that has a key."""

import pytest
from frames import frame, play
from prodtop.engine.protocol import (
    Command,
    LoadSpec,
    PrecisionName,
    SetLoad,
    SetPrecision,
    SetStrategy,
    StrategyName,
)
from running_app import RunningApp, open_app


async def click_on(running: RunningApp, words: str, *, cell: int = 1) -> None:
    """Click on a cell of the last place on the terminal where these words stand."""
    rows = running.text().split("\n\n")
    y = max(number for number, row in enumerate(rows) if words in row)
    await running.pilot.click(offset=(rows[y].rindex(words) + cell, y))
    await running.pilot.pause()


@pytest.mark.parametrize(
    ("words", "command"),
    [
        ("1 single", SetStrategy(name=StrategyName.SINGLE)),
        (" int8 ", SetPrecision(name=PrecisionName.INT8)),
    ],
)
async def test_a_click_on_a_choice_chooses_it(words: str, command: Command) -> None:
    async with open_app([[frame()]], size=(120, 36)) as running:
        await running.advance()
        await click_on(running, words)
        assert running.client.sent == [command]


async def test_a_click_on_the_meter_sets_the_load() -> None:
    async with open_app([[frame(load=LoadSpec(users=8))]], size=(120, 36)) as running:
        await running.advance()
        await click_on(running, "▮▯", cell=1)
        (command,) = running.client.sent
        assert isinstance(command, SetLoad)
        assert command.load.users > 8


async def test_a_click_on_a_tab_or_on_a_key_does_what_the_key_does() -> None:
    async with open_app([[frame()]], size=(120, 36)) as running:
        await running.advance()
        await click_on(running, "space pause")
        assert running.app.monitor.moment().paused
        await click_on(running, "Plan")
        assert running.app.current_mode == "planner"


async def test_a_click_into_a_chart_freezes_the_display_at_that_moment() -> None:
    async with open_app(play(60), size=(120, 36)) as running:
        await running.advance(seconds=0.25)
        monitor = running.app.monitor
        end_s = monitor.timeline().now_s
        chart = running.app.screen.query_one("#throughput BrailleChart")
        middle = chart.region.x + chart.region.width // 2, chart.region.y + 1
        await running.pilot.click(offset=middle)
        await running.pilot.pause()
        moment = monitor.moment()
        assert moment.paused
        assert 10 < end_s - moment.wall_s < 50  # of the minute that the chart spans


async def test_a_click_on_a_mark_goes_to_the_switch_itself() -> None:
    async with open_app(play(75), size=(120, 36)) as running:
        await running.advance(seconds=0.25)
        monitor = running.app.monitor
        switch_s = monitor.timeline().marks()[-1].time_s
        rows = running.text().split("\n\n")
        y = next(number for number, row in enumerate(rows) if "▾" in row)
        await running.pilot.click(offset=(rows[y].rindex("▾", 0, 60), y + 1))
        await running.pilot.pause()
        assert monitor.moment().wall_s == switch_s
