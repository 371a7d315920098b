"""Walking back in the live screen: keys, the list of events, notes, zoom, a clock that jumps."""

import msgspec
import pytest
from frames import EPOCH_S, frame, host, play
from prodtop.engine.protocol import SetStrategy, StrategyName
from prodtop.tui.screens.events import EventsScreen
from running_app import RunningApp, open_app


def cursor_s(running: RunningApp) -> float | None:
    at_s = running.app.monitor.playhead.cursor_s
    return None if at_s is None else at_s - EPOCH_S


async def go(running: RunningApp, text: str) -> None:
    await running.press("g")
    await running.press(*text, "enter")


async def test_g_goes_to_a_time_and_every_panel_shows_it() -> None:
    async with open_app(play(60), size=(120, 36)) as running:
        await go(running, "-20s")
        assert cursor_s(running) == 40.0
        moment = running.app.monitor.moment()
        assert moment.frame is not None
        assert moment.frame.uptime_s == 40
        await go(running, "+5s")
        assert cursor_s(running) == 45.0
        await go(running, "00:00:12")
        assert cursor_s(running) == 12.0
        await go(running, "nonsense")
        assert cursor_s(running) == 12.0
        assert "no time" in running.line("event")
        await running.press("g", "escape")
        assert cursor_s(running) == 12.0


@pytest.mark.parametrize("size", [(60, 18), (80, 24), (120, 36), (160, 48)])
async def test_the_past_cannot_be_taken_for_the_present(size: tuple[int, int]) -> None:
    async with open_app(play(30), size=size) as running:
        assert "AGO" not in running.line("footer")
        await running.press("left", "pageup")
        assert "PAUSED" in running.line("header")
        assert "00:00:30 AGO" in running.line("footer")
        assert "escape now" in running.line("footer")
        await running.advance([frame(40), host(40)], seconds=10.0)
        assert "00:00:40 AGO" in running.line("footer")
        assert running.app.monitor.history.newest_s == EPOCH_S + 40, "data goes on arriving"
        await running.press("escape")
        assert "AGO" not in running.line("footer")
        assert cursor_s(running) is None


async def test_pages_go_by_the_span_of_the_charts() -> None:
    async with open_app(play(200), size=(120, 36)) as running:
        span_s = running.app.monitor.timeline().span_s
        await running.press("pageup")
        assert cursor_s(running) == 200 - span_s
        await running.press("pageup", "pagedown")
        assert cursor_s(running) == 200 - span_s
        await running.press(*["pagedown"] * 9)
        assert cursor_s(running) == 200


async def test_n_and_N_visit_every_event() -> None:  # noqa: N802 (the key)
    async with open_app(play(60), size=(120, 36)) as running:
        stops = sorted({stop.wall_s for stop in running.app.monitor.stops()})
        assert stops
        await running.press("home")
        seen = [EPOCH_S]
        for _ in stops:
            await running.press("n")
            at_s = cursor_s(running)
            assert at_s is not None
            seen.append(at_s + EPOCH_S)
        assert [at for at in seen[1:] if at > EPOCH_S] == [at for at in stops if at > EPOCH_S]
        await running.press("n")
        assert "no event or spike after this" in running.line("event")
        for wall_s in stops[-2::-1]:
            await running.press("N")
            assert cursor_s(running) == wall_s - EPOCH_S


async def test_a_search_finds_an_event_and_enter_goes_there() -> None:
    async with open_app(play(60), size=(120, 36)) as running:
        wanted = [stop for stop in running.app.monitor.stops() if stop.kind == "switch"][-1]
        await running.press("slash", *"switch", "enter")
        assert not isinstance(running.app.screen, EventsScreen)
        assert cursor_s(running) == wanted.wall_s - EPOCH_S
        await running.press("slash", *"xyzzy")
        assert "nothing like it" in running.text()
        await running.press("escape")
        assert not isinstance(running.app.screen, EventsScreen)


async def test_a_click_on_an_event_goes_there() -> None:
    async with open_app(play(60), size=(120, 36)) as running:
        wanted = next(stop for stop in running.app.monitor.stops() if stop.kind == "switch")
        await running.press("e")
        rows = [line for line in running.text().splitlines() if line.strip()]
        row = next(y for y, line in enumerate(rows) if wanted.text in line)
        await running.pilot.click(offset=(20, row))
        await running.pilot.pause()
        assert cursor_s(running) == wanted.wall_s - EPOCH_S


async def test_a_note_is_an_event() -> None:
    async with open_app(play(10), size=(120, 36)) as running:
        await running.press("j", *"what is this", "enter")
        await running.advance([frame(11), host(11)])
        (note,) = (stop for stop in running.app.monitor.stops() if stop.kind == "note")
        assert note.text == "what is  this" or note.text == "what is this"
        assert any(
            mark.kind == "note" for mark in running.app.monitor.timeline().history.marks(0.0, 2e9)
        )
        await running.press("j", "escape")
        await running.press("j", "space", "enter")
        assert len([stop for stop in running.app.monitor.stops() if stop.kind == "note"]) == 1


async def test_zoom_goes_from_half_a_minute_to_all_of_it_and_a_window_ends_it() -> None:
    async with open_app(play(30), size=(120, 36)) as running:
        monitor = running.app.monitor
        window_s = monitor.timeline().span_s
        spans = []
        await running.press(*["z"] * 12)
        assert monitor.timeline().span_s == 30.0
        for _ in range(14):
            await running.press("Z")
            spans.append(monitor.timeline().span_s)
        assert spans == sorted(spans)
        assert spans[-1] == float("inf")
        assert "the whole session" in running.line("event")
        await running.press(*["w"] * 5)
        assert monitor.timeline().span_s == window_s


async def test_a_key_that_changes_the_engine_does_and_goes_back_to_the_present() -> None:
    async with open_app(play(30), size=(120, 36)) as running:
        await running.press("left", "1")
        assert SetStrategy(name=StrategyName.SINGLE) in running.client.sent
        assert cursor_s(running) is None
        assert "back to the present" in running.line("event")


async def test_a_clock_that_jumps_moves_nothing_that_was() -> None:
    """The wall clock is set by an hour in the middle: times go on, and every step is the same."""
    polls = [
        [
            msgspec.structs.replace(report, wall_s=report.wall_s + (3600.0 if place > 60 else 0.0))
            if hasattr(report, "wall_s")
            else report
            for report in poll
        ]
        for place, poll in enumerate(play(30))
    ]
    async with open_app(polls, size=(120, 36)) as running:
        session = running.app.monitor.session()
        assert session is not None
        assert session.end_s - session.begin_s == pytest.approx(30.0)
        await go(running, "-20s")
        moment = running.app.monitor.moment()
        assert moment.frame is not None
        assert moment.frame.uptime_s == 10
        await running.press("end", "home")
        first = running.app.monitor.moment().frame
        assert first is not None
        assert first.uptime_s == 0
