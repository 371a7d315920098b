"""`r` in the live screen: what it says, what the header shows, and what a bad disk does to it."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from frames import ScriptedClient, play
from prodtop.engine.client.recorded_engine import RecordedEngine
from prodtop.engine.files.paths import recordings_dir
from prodtop.engine.protocol import Frame
from prodtop.engine.protocol.errors import ProdtopError
from prodtop.engine.records.recording.reader import Recording
from prodtop.tui.app import ProdtopApp
from prodtop.tui.app_setup import AppSetup
from prodtop.tui.state.history import History
from prodtop.tui.state.monitor import Monitor
from prodtop.tui.state.playhead import Playhead
from prodtop.tui.widgets.lines import LinesView
from recording_samples import read_all
from running_app import SLOW, Clock
from textual.pilot import Pilot


class Live:
    """The live screen over a scripted engine that can be recorded."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.client = ScriptedClient(play(20))
        engine = RecordedEngine(self.client, facts=dict, clock=self.clock)
        self.app = ProdtopApp(engine, AppSetup(clock=self.clock, config=SLOW, theme="prodtop-dark"))
        self.engine = engine

    async def advance(self, pilot: Pilot[None], polls: int) -> None:
        for _ in range(polls):
            self.clock.now_s += 0.25
            self.app.tick()
        await pilot.pause()

    def line(self, name: str) -> str:
        return self.app.query_one(f"#{name}", LinesView).lines[0].plain


@asynccontextmanager
async def live(size: tuple[int, int] = (120, 36)) -> AsyncIterator[tuple[Live, Pilot[None]]]:
    screen = Live()
    async with screen.app.run_test(size=size) as pilot:
        await screen.advance(pilot, 4)
        yield screen, pilot


@pytest.mark.parametrize("size", [(60, 18), (80, 24), (120, 36), (160, 48)])
async def test_the_header_says_for_how_long_it_records(size: tuple[int, int]) -> None:
    async with live(size) as (screen, pilot):
        assert "REC" not in screen.line("header")
        await pilot.press("r")
        await screen.advance(pilot, 12)
        assert "● REC 00:00:03" in screen.line("header")
        assert len(screen.line("header")) == size[0]
        for tab in ("C", "Q", "P"):
            await pilot.press(tab)
            await pilot.pause()
            await screen.advance(pilot, 1)
            shown = screen.app.screen.query_one("#header", LinesView).lines[0].plain
            assert "● REC 00:00:03" in shown
        await pilot.press("L", "r")
        await screen.advance(pilot, 1)
        assert "REC" not in screen.line("header")


async def test_it_says_where_and_what_was_shown_is_there() -> None:
    async with live() as (screen, pilot):
        await pilot.press("r")
        (path,) = recordings_dir().glob("*.ptop")
        assert f"recording to {path.name}" in screen.line("event")
        await screen.advance(pilot, 8)
        shown = screen.app.monitor.moment().frame
        await pilot.press("r")
        assert f"recorded {path.name}" in screen.line("event")
    assert screen.engine.saved == [path]
    first, *ticks = read_all(path)
    assert [type(event).__name__ for event in first.events] == ["Ready"]
    assert len(ticks) == 8
    assert ticks[-1].frame == shown


async def test_two_in_one_second_have_names_of_their_own() -> None:
    async with live() as (screen, pilot):
        for _ in range(3):
            await pilot.press("r")
            await screen.advance(pilot, 2)
            await pilot.press("r")
    assert len(set(screen.engine.saved)) == 3
    assert [len(read_all(path)) for path in screen.engine.saved] == [3, 3, 3]


async def test_leaving_finishes_it() -> None:
    async with live() as (screen, pilot):
        await pilot.press("r")
        await screen.advance(pilot, 4)
    (path,) = recordings_dir().iterdir()
    assert len(read_all(path)) == 5


async def test_where_nothing_can_be_written_it_says_so_and_goes_on() -> None:
    recordings_dir().parent.mkdir(parents=True)
    recordings_dir().write_text("no folder")
    async with live() as (screen, pilot):
        await pilot.press("r")
        assert "cannot record to" in screen.line("event")
        assert "REC" not in screen.line("header")
        await screen.advance(pilot, 2)
        assert screen.app.is_running


async def test_a_recording_that_has_stopped_is_told_and_out_of_the_header(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import sqlite3

    from prodtop.engine.records.recording.store import Store

    def full(*_arguments: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(Store, "write", full)
    async with live() as (screen, pilot):
        await pilot.press("r")
        thread = screen.engine._recorder._thread  # type: ignore[union-attr]  # it records
        await screen.advance(pilot, 1)
        thread.join(20.0)
        await screen.advance(pilot, 2)
        assert "recording has stopped" in screen.line("event")
        assert "REC" not in screen.line("header")


def test_the_path_that_a_user_names_is_taken(tmp_path: Path) -> None:
    engine = RecordedEngine(ScriptedClient(play(2)), facts=dict)
    assert engine.start_recording(tmp_path / "mine.db") == tmp_path / "mine.db"
    while engine.poll():
        pass
    engine.close()
    assert len(read_all(tmp_path / "mine.db")) == 10


async def test_while_it_records_every_poll_can_be_walked_back_to(tmp_path: Path) -> None:
    """Also what memory has thinned: the frame and the requests are those of the file."""
    polls = play(60)
    screen = Live()
    screen.client.polls.extend(polls)
    async with screen.app.run_test(size=(120, 36)) as pilot:
        monitor = screen.app.monitor
        # As after hours: memory keeps one moment in twenty seconds.
        monitor.history = History(((0.0, 8), (20.0, 1000)))
        monitor.playhead = Playhead(monitor.history, monitor._recorded_then)
        await pilot.press("r")
        path = screen.engine.recording
        assert path is not None
        shown = {}
        for _ in range(200):
            await screen.advance(pilot, 1)
            moment = monitor.moment()
            if moment.frame is not None:
                shown[monitor.wall_s()] = (moment.frame, moment.host)
        # The writer commits twice a second.
        committed = screen.engine._recorder
        assert committed is not None
        until_written(path.path, 150)
        walked = list(shown)[30:100]
        thinned = [at_s for at_s in walked if remembered(monitor, at_s) != shown[at_s][0]]
        assert len(thinned) > 50
        wanted = thinned[len(thinned) // 2]
        screen.app.stand_at(wanted)
        moment = monitor.moment()
        assert (moment.frame, moment.host) == shown[wanted]
        assert moment.requests.rows
        assert all(row.arrival_s <= wanted for row in moment.requests.rows)


def remembered(monitor: Monitor, at_s: float) -> Frame | None:
    """What memory has of a moment."""
    found = monitor.history.at(at_s)
    return None if found is None else found.frame


def until_written(path: Path, ticks: int) -> None:
    """Wait until a recording that goes on has so many ticks on the disk."""
    deadline_s = time.monotonic() + 30.0
    while True:
        try:
            recording = Recording(path)
        except ProdtopError:
            pass
        else:
            found = recording.last_tick
            recording.close()
            if found >= ticks:
                return
        assert time.monotonic() < deadline_s
        time.sleep(0.02)
