"""A sweep of cells that was recorded is in the replay as it was live: at its end and on the way."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from compare_samples import answer, benches, two_precisions
from frames import EPOCH_S, ScriptedClient, ready
from prodtop.engine.client.recorded_engine import RecordedEngine
from prodtop.engine.compare.cells import Comparison
from prodtop.engine.protocol import BenchDone, ChildDied, ChildStarted, Note, Report
from prodtop.engine.records.recording import stored_events
from prodtop.engine.records.recording.reader import Recording, RecordingError
from prodtop.engine.records.recording.sweep_state import SWEEP_KIND, SweepOf, SweepState
from prodtop.tui.app import ProdtopApp
from prodtop.tui.app_setup import AppSetup
from prodtop.tui.state.compare import Compare
from prodtop.tui.state.monitor import READ_ONLY
from prodtop.tui.state.stage import Stage
from running_app import SLOW, Clock, terminal_text
from test_replay_screen import FACTS, Replay, panels_of
from textual.pilot import Pilot

SIZE = (120, 36)
STEP_S = 2.0
CELLS = 12


class LiveSweep:
    """The Compare tab over a scripted engine, recorded; pictures of it by the poll they are of."""

    def __init__(self, path: Path, *, record: bool = True) -> None:
        self.clock, self.path = Clock(), path
        self.client = ScriptedClient(obedient=True)
        start_s = self.clock()
        self.engine = RecordedEngine(
            self.client,
            facts=lambda: FACTS,
            clock=self.clock,
            wall=lambda: EPOCH_S + self.clock() - start_s,
        )
        if record:
            self.engine.start_recording(path)
        self.app = ProdtopApp(
            self.engine, AppSetup(clock=self.clock, config=SLOW, theme="prodtop-dark")
        )
        self.answered = 0
        self.pilot: Pilot[None] | None = None

    async def poll(self, *reports: Report) -> None:
        self.clock.now_s += STEP_S
        self.client.queue(*reports)
        self.app.tick()
        assert self.pilot is not None
        await self.pilot.pause()

    async def press(self, *keys: str) -> None:
        # A key is pressed between two polls.
        self.clock.now_s += STEP_S / 2
        assert self.pilot is not None
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def answer(self, most: int = 100) -> None:
        """Have benches answered, a poll and a frame each."""
        for _ in range(most):
            asked = benches(self.client.sent)
            if self.answered >= len(asked):
                return
            shown = two_precisions(60.0 + self.clock() - 1000.0)
            await self.poll(shown, *answer(asked[self.answered], self.answered))
            self.answered += 1

    async def look(self) -> list[str]:
        self.app.draw()
        assert self.pilot is not None
        await self.pilot.pause()
        return panels_of(self.app.export_screenshot())

    @property
    def compare(self) -> Compare:
        return self.app.monitor.moment().compare


@asynccontextmanager
async def live_sweep(path: Path, *, record: bool = True) -> AsyncIterator[LiveSweep]:
    live = LiveSweep(path, record=record)
    async with live.app.run_test(size=SIZE) as pilot:
        live.pilot = pilot
        await live.poll(ready(), two_precisions())
        await live.press("C")
        yield live
    live.engine.close()


async def replayed(path: Path, at_s: float, *, seek: bool) -> tuple[list[str], Compare]:
    """The Compare tab of the replay at a time of the screen's clock, and what it shows."""
    replay = Replay(path)
    async with replay.app.run_test(size=SIZE) as pilot:
        await replay.advance(pilot, 0.0)
        await pilot.press("C")
        recording = replay.engine.recording
        if seek:
            monitor = replay.app.monitor
            replay.engine.set_paused(True)
            replay.app._seek(recording.tick_at(at_s + 1e-6))
            assert monitor.moment().now_s == pytest.approx(at_s)
        else:
            await replay.advance(pilot, at_s - recording.began_clock_s + 1e-6)
        replay.app.draw()
        await pilot.pause()
        return panels_of(replay.app.export_screenshot()), replay.app.monitor.moment().compare


def cells(compare: Compare) -> Comparison:
    assert compare.comparison is not None
    return compare.comparison


async def test_the_tab_is_as_it_was_live_half_way_and_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "a.ptop"
    async with live_sweep(path) as live:
        await live.press("b")
        await live.answer(CELLS // 2)
        half, half_s, half_compare = await live.look(), live.clock(), live.compare
        await live.answer()
        end, end_s, end_compare = await live.look(), live.clock(), live.compare
    assert half != end
    assert end_compare.stage is Stage.DONE
    assert len(cells(half_compare).measured()) == CELLS // 2
    for seek in (False, True):
        picture, compare = await replayed(path, half_s, seek=seek)
        assert compare.stage is Stage.RUNNING
        assert cells(compare) == cells(half_compare)
        assert picture == half
        picture, compare = await replayed(path, end_s, seek=seek)
        assert (compare.stage, compare.ended) == (Stage.DONE, end_compare.ended)
        assert cells(compare) == cells(end_compare)
        assert picture == end


@pytest.mark.parametrize("seek", [False, True], ids=["played", "sought"])
async def test_one_that_was_told_to_stop_has_stopped(tmp_path: Path, *, seek: bool) -> None:
    path = tmp_path / "a.ptop"
    async with live_sweep(path) as live:
        await live.press("b")
        await live.answer(3)
        await live.press("x")
        assert live.compare.stage is Stage.CANCELLING
        await live.poll(BenchDone(), two_precisions())
        await live.poll(two_precisions())
        shown, at_s, before = await live.look(), live.clock(), live.compare
    assert before.stage is Stage.CANCELLED
    picture, compare = await replayed(path, at_s, seek=seek)
    assert (compare.stage, cells(compare)) == (Stage.CANCELLED, cells(before))
    # The event line has the answer to the key for a while.
    assert picture[:-1] == shown[:-1] or picture == shown


@pytest.mark.parametrize("seek", [False, True], ids=["played", "sought"])
async def test_it_goes_on_where_the_worker_died(tmp_path: Path, *, seek: bool) -> None:
    path = tmp_path / "a.ptop"
    async with live_sweep(path) as live:
        await live.press("b")
        await live.answer(3)
        await live.poll(ChildDied(child="worker", reason="killed", restart_in_s=1.0))
        live.answered += 1
        await live.poll(ChildStarted(child="worker", pid=7, attempt=2))
        await live.poll(ready(), two_precisions())
        await live.answer(4)
        at_s, before = live.clock(), live.compare
        await live.poll(two_precisions())
    assert any(each.failure for each in cells(before).cells)
    assert len(cells(before).measured()) == 7
    _, compare = await replayed(path, at_s, seek=seek)
    assert cells(compare) == cells(before)


@pytest.mark.parametrize("done", [False, True], ids=["under way", "over"])
async def test_what_was_measured_before_the_recording_is_in_it(
    tmp_path: Path, *, done: bool
) -> None:
    path = tmp_path / "a.ptop"
    async with live_sweep(path, record=False) as live:
        await live.press("b")
        await live.answer(100 if done else 5)
        live.app.monitor.record_to(path)
        await live.poll(two_precisions())
        await live.answer(2)
        await live.poll(two_precisions())
        at_s, before = live.clock(), live.compare
    assert before.stage is (Stage.DONE if done else Stage.RUNNING)
    for seek in (False, True):
        _, compare = await replayed(path, at_s, seek=seek)
        assert (compare.stage, cells(compare)) == (before.stage, cells(before))
        assert compare.ended == before.ended


async def test_it_is_there_where_thousands_of_events_came_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from prodtop.engine.records.recording import reader

    path = tmp_path / "a.ptop"
    async with live_sweep(path) as live:
        await live.press("b")
        await live.answer(CELLS)
        before = live.compare
        for number in range(12):
            await live.poll(*(Note(message=f"{number}") for _ in range(5)))
        at_s = live.clock()
    monkeypatch.setattr(reader, "MOST_EVENTS", 40)
    monkeypatch.setattr(stored_events, "MOST_EVENTS", 2_000)
    _, compare = await replayed(path, at_s, seek=True)
    assert cells(compare) == cells(before)


async def test_nothing_stops_it_in_the_replay(tmp_path: Path) -> None:
    path = tmp_path / "a.ptop"
    async with live_sweep(path) as live:
        await live.press("b")
        await live.answer(3)
    replay = Replay(path)
    async with replay.app.run_test(size=SIZE) as pilot:
        await pilot.press("C")
        await replay.advance(pilot, replay.engine.length_s)
        monitor = replay.app.monitor
        monitor.cancel_compare()
        assert monitor.moment().compare.stage is Stage.RUNNING
        replay.app.draw()
        await pilot.pause()
        assert READ_ONLY in terminal_text(replay.app)


async def test_a_load_curve_is_in_it_as_well(tmp_path: Path) -> None:
    path = tmp_path / "a.ptop"
    async with live_sweep(path) as live:
        live.app.monitor.begin_load_curve()
        await live.answer(4)
        at_s, before = live.clock(), live.app.monitor.moment().load_curve
    assert len(cells(before).measured()) >= 3
    replay = Replay(path)
    async with replay.app.run_test(size=SIZE) as pilot:
        await replay.advance(pilot, at_s - replay.engine.recording.began_clock_s + 1e-6)
        moment = replay.app.monitor.moment()
        assert cells(moment.load_curve) == cells(before)
        assert moment.compare.comparison is None


HOSTILE = [
    '{"of":"matrix","asked":"begin","clock_s":1}',
    '{"of":"matrix","asked":"begin","clock_s":1e300}',
    '{"of":"other","asked":"stop","clock_s":1}',
    '{"of":"matrix","asked":"begin","clock_s":1,"comparison":{"work":{},"cells":[]}}',
    "[" * 100_000,
]


@pytest.mark.parametrize("message", HOSTILE, ids=range(len(HOSTILE)))
async def test_one_that_was_edited_is_one_line(tmp_path: Path, message: str) -> None:
    path = tmp_path / "a.ptop"
    async with live_sweep(path) as live:
        await live.press("b")
        await live.answer(2)
    with sqlite3.connect(path) as file:
        changed = file.execute(
            "UPDATE events SET message = ? WHERE kind = ?", (message, SWEEP_KIND)
        )
        assert changed.rowcount == 1
    file.close()
    recording = Recording(path)
    with pytest.raises(RecordingError, match="is damaged"):
        list(recording.ticks(recording.first_tick))
    with pytest.raises(RecordingError, match="is damaged"):
        recording.past(recording.last_tick)


def test_an_older_prodtop_passes_over_it() -> None:
    """It reads what the kind begins with, and no message of such a kind."""
    assert SWEEP_KIND == "command SweepState"
    assert {each.value for each in SweepOf} == {"matrix", "curve"}
    assert SweepState.__struct_fields__[:3] == ("of", "asked", "clock_s")
