"""The table of requests under Textual's pilot: by keys alone, and by mouse."""

import msgspec
import pytest
from frame_requests import finished, in_system, timeline
from frames import EPOCH_S, frame, play, ready
from prodtop.engine.protocol import (
    ChildDied,
    InspectRequest,
    Report,
    StrategyName,
    Window,
)
from prodtop.tui.settings.keymap import remap
from prodtop.tui.widgets.live_panels import LivePanel
from prodtop.tui.widgets.requests_panel import RequestsPanel
from running_app import RunningApp, open_app
from textual import events

SIZE = (120, 36)


def polls(second: float = 60.0) -> list[list[Report]]:
    hybrid = StrategyName.HYBRID
    return [[ready(), frame(second), in_system(second, hybrid), finished(second, hybrid)]]


def shown_panels(running: RunningApp) -> list[str | None]:
    return [panel.id for panel in running.app.query(LivePanel) if panel.display]


def table(running: RunningApp) -> list[str]:
    """The lines of the panel, the head first."""
    return [line.plain for line in running.app.query_one("#requests LinesView").lines]  # type: ignore[attr-defined]  # a LinesView


def chosen(running: RunningApp) -> str:
    """The id in the row that is pointed at."""
    (row,) = [line for line in table(running) if line.startswith("▸")]
    return row[1:].split()[0]


async def test_the_newest_request_comes_first_and_every_state_is_there() -> None:
    async with open_app(polls(), size=SIZE) as running:
        head, first, *_ = table(running)
        assert head.split()[:4] == ["id↓", "state", "prompt", "output"]
        assert first.split()[:2] == ["2311", "prefill"]
        await running.press("R")
        text = "\n".join(table(running))
        assert "decode" in text
        await running.press("f", "f", "f")
        assert "Requests finished" in running.text()
        assert [line.split()[1] for line in table(running)[1:3]] == ["finished"] * 2


async def test_by_keys_a_request_is_chosen_opened_and_closed() -> None:
    async with open_app(polls(), size=SIZE) as running:
        await running.press("R")
        assert shown_panels(running) == ["requests"]
        await running.press("down", "down", "down", "up")
        assert chosen(running) == "2310"
        await running.press("enter")
        assert running.client.sent == [InspectRequest(request_id=2310)]
        await running.advance()
        text = running.text()
        assert "TTFT 4.20 s, median" in text
        assert "3.90 s of it in the queue behind 212 requests" in text
        assert "when its tokens came" in text
        await running.press("escape")
        assert running.client.sent[-1] == InspectRequest(request_id=None)
        assert chosen(running) == "2310"
        await running.press("escape")
        assert not [line for line in table(running) if line.startswith("▸")]
        await running.press("R")
        assert len(shown_panels(running)) > 1


async def test_in_its_small_panel_enter_on_a_row_opens_and_else_maximises() -> None:
    async with open_app(polls(), size=SIZE) as running:
        running.app.query_one(RequestsPanel).focus()
        await running.press("enter")
        assert shown_panels(running) == ["requests"]
        await running.press("m")
        assert len(shown_panels(running)) > 1
        await running.press("down", "enter")
        await running.advance()
        assert "where its time went" in running.text()
        # What was there before it was opened comes back.
        await running.press("escape")
        assert len(shown_panels(running)) > 1


async def test_escape_is_the_tabs_own_where_nothing_is_open() -> None:
    async with open_app(polls(), size=SIZE) as running:
        await running.press("R", "space", "left")
        assert running.app.monitor.playhead.frozen
        await running.press("down", "escape")
        assert running.app.monitor.playhead.frozen
        await running.press("escape")
        assert not running.app.monitor.playhead.frozen


async def test_columns_sort_by_keys() -> None:
    async with open_app(polls(), size=SIZE) as running:
        await running.press("R", "o", "o")
        assert "prompt↓" in table(running)[0]
        prompts = [int(line.split()[2]) for line in table(running)[1:6]]
        assert prompts == sorted(prompts, reverse=True)
        await running.press("i")
        assert "prompt↑" in table(running)[0]
        prompts = [int(line.split()[2]) for line in table(running)[1:6]]
        assert prompts == sorted(prompts)


async def test_by_mouse_headings_sort_rows_are_chosen_and_the_wheel_scrolls() -> None:
    async with open_app(polls(), size=SIZE) as running:
        panel = running.app.query_one(RequestsPanel)
        x = table(running)[0].index("TTFT") + 2  # and the frame's two cells
        await running.pilot.click(panel, offset=(x, 1))
        await running.pilot.pause()
        assert "TTFT↓" in table(running)[0]
        await running.pilot.click(panel, offset=(10, 3))
        await running.pilot.pause()
        first = table(running)[1]
        assert table(running)[2].startswith("▸")
        assert running.app.focused is panel
        wheel = events.MouseScrollDown(panel, 10, 4, 0, 1, 0, False, False, False)
        panel.post_message(wheel)
        await running.pilot.pause()
        assert table(running)[1] != first
        await running.pilot.click(panel, offset=(10, 3))
        await running.pilot.pause()
        await running.pilot.click(panel, offset=(10, 3))
        await running.pilot.pause()
        assert isinstance(running.client.sent[-1], InspectRequest)
        assert panel.opened


async def test_the_chosen_row_stays_in_sight_while_others_come() -> None:
    async with open_app(polls(), size=SIZE) as running:
        await running.press("R", "down", "down")
        name = chosen(running)
        for second in (61.0, 62.0, 63.0):
            await running.advance(*polls(second), seconds=1.1)
            assert chosen(running) == name


async def test_rows_rest_so_that_they_can_be_read() -> None:
    async with open_app(polls(), size=SIZE) as running:
        before = table(running)
        await running.advance([frame(60.3), in_system(60.3, StrategyName.HYBRID)])
        assert table(running) == before
        await running.advance([frame(61.3)], seconds=1.0)
        assert table(running) != before


async def test_the_past_shows_the_requests_of_then() -> None:
    async with open_app(play(60.0), size=SIZE) as running:
        await running.press("space", "home")
        await running.advance()
        moment = running.app.monitor.moment()
        assert moment.wall_s < EPOCH_S + 2
        assert all(row.arrival_s <= moment.wall_s for row in moment.requests.rows)
        assert not [line for line in table(running)[1:] if "2311" in line]


async def test_requests_of_a_dead_worker_say_what_became_of_them() -> None:
    async with open_app(polls(), size=SIZE) as running:
        await running.advance([ChildDied(child="worker", reason="killed")])
        await running.advance(seconds=1.1)
        await running.press("R", *["f"] * 4)
        assert "worker di" in table(running)[1]
        await running.press("down", "enter")
        await running.advance()
        assert "no timeline: the worker died" in running.text()


async def test_keys_of_the_panel_follow_the_config_and_end_with_it() -> None:
    keymap = remap({"requests_order": "z", "requests_filter": "s"}, "config.toml")
    async with open_app(polls(), size=SIZE, keymap=keymap) as running:
        await running.press("R", "z", "z")
        assert "prompt↓" in table(running)[0]
        await running.press("s")
        assert "Requests running" in running.text()
        assert "z order" in running.line("footer")


async def test_the_palette_offers_what_the_panels_keys_do() -> None:
    async with open_app(polls(), size=SIZE) as running:
        titles = {each.title for each in running.app.get_system_commands(running.app.screen)}
        assert "The whole table of requests, or back" in titles
        assert "In its panel: sort by the next column" in titles
        await running.press("P")
        titles = {each.title for each in running.app.get_system_commands(running.app.screen)}
        assert "In its panel: sort by the next column" not in titles


@pytest.mark.parametrize("size", [(120, 36), (160, 48)])
async def test_h_walks_the_shapes_of_latency(size: tuple[int, int]) -> None:
    async with open_app(play(60.0), size=size) as running:
        assert "p99" in running.text()
        await running.press("h")
        await running.advance([frame(61)])
        text = running.text()
        assert sum(shade in text for shade in "░▒▓") == 3
        assert "p50" in text
        await running.press("h")
        await running.advance([frame(62)])
        assert "TPOT per token" in " ".join(running.text().split())
        assert "███" in running.text()
        await running.press("h")
        await running.advance([frame(63)])
        assert "███" not in running.text()


async def test_since_the_switch_the_charts_begin_there() -> None:
    async with open_app(play(60.0), size=SIZE) as running:
        await running.press("w", "w", "w")
        assert running.app.monitor.window is Window.SWITCH
        timeline_ = running.app.monitor.timeline()
        # The script switches 18 s before its end: the charts take the next step.
        assert timeline_.window_s == pytest.approx(18.0, abs=0.5)
        assert timeline_.span_s == 30.0
        assert "Latency since switch" in running.text()
        await running.press("h", "h")
        counts = frame().latency_counts
        fresh = msgspec.structs.replace(frame(61), latency_counts_since_switch=counts)
        await running.advance([fresh])
        assert "███" in running.text()


async def test_a_timeline_of_another_request_is_not_shown() -> None:
    async with open_app(polls(), size=SIZE) as running:
        await running.press("R", "down", "enter")
        running.client.polls.clear()
        await running.advance([timeline(5)])
        assert "asking the engine" in running.text()
