"""Recordings read back: what was written, where ticks are, and every file that is none."""

import random
import shutil
import sqlite3
import zlib
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from frames import ScriptedClient, frame, host, play
from hostile_text import HOSTILE
from hypothesis import given, settings
from hypothesis import strategies as st
from prodtop.engine.client.recorded_engine import RecordedEngine
from prodtop.engine.protocol import (
    Frame,
    Note,
    Ready,
    Report,
    SetStrategy,
    StrategyName,
    Switched,
)
from prodtop.engine.records.columns import FRAME_COLUMNS
from prodtop.engine.records.recording.database import SCHEMA_VERSION
from prodtop.engine.records.recording.reader import Recording, RecordingError
from prodtop.engine.records.recording.recorder import failure_text
from prodtop.engine.records.recording.retention import Retention
from prodtop.engine.records.recording.store import Store
from prodtop.engine.records.recording.tick import Tick
from recording_samples import CLOCK_S, read_all, recorded_session, ticks_of, write_recording

SHORT_S = 5.0
"""A segment is so long here."""


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Tick]]:
    """A recording of two whole segments and a half, and its ticks. Not to be changed."""
    path = tmp_path_factory.mktemp("session") / "a.ptop"
    return path, recorded_session(path, 2.5 * SHORT_S, segment_s=SHORT_S)


def test_all_ticks_come_back(session: tuple[Path, list[Tick]]) -> None:
    path, ticks = session
    assert read_all(path) == ticks
    recording = Recording(path)
    assert len(recording.spans) == 3
    assert sum(span.requests for span in recording.spans) == sum(len(t.ended) for t in ticks)


def test_a_finished_recording_is_one_file(session: tuple[Path, list[Tick]]) -> None:
    path, _ = session
    assert list(path.parent.iterdir()) == [path]
    with closing(sqlite3.connect(path)) as file:
        assert file.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert file.execute("PRAGMA freelist_count").fetchone() == (0,)


def test_any_tick_is_found_by_its_time(session: tuple[Path, list[Tick]]) -> None:
    path, ticks = session
    recording = Recording(path)
    for number in random.Random(1).sample(range(len(ticks)), 40):
        at_s = ticks[number].clock_s
        assert recording.tick_at(at_s) == number
        assert recording.tick_at(at_s + 0.2) == number
        assert next(recording.ticks(number)) == ticks[number]
    assert recording.tick_at(0.0) == 0
    assert recording.tick_at(1e9) == len(ticks) - 1


def test_peaks_are_those_of_all_frames(session: tuple[Path, list[Tick]]) -> None:
    path, ticks = session
    recording = Recording(path)
    peaks = recording.peaks(0, recording.last_tick + 1)
    for name, read in FRAME_COLUMNS.items():
        values = [value for tick in ticks if tick.frame and (value := read(tick.frame)) is not None]
        extents = [extent for each in peaks for extent in each.columns.get(name, [])]
        if values:
            assert max(extent.high for extent in extents) == max(values)
            assert min(extent.low for extent in extents) == min(values)


def test_what_was_asked_for_is_recorded_before_its_poll(tmp_path: Path) -> None:
    client = ScriptedClient(play(2))
    engine = RecordedEngine(client, facts=dict, clock=lambda: CLOCK_S)
    engine.start_recording(tmp_path / "a.ptop")
    engine.poll()
    engine.send(SetStrategy(name=StrategyName.SINGLE))
    engine.poll()
    engine.close()
    recording = Recording(tmp_path / "a.ptop")
    stored = recording.events(0, 9)
    assert [(event.kind, event.tick) for event in stored] == [
        ("Ready", 0),
        ("command SetStrategy", 1),
    ]
    assert client.sent == [SetStrategy(name=StrategyName.SINGLE)]


def test_a_recording_that_begins_late_still_knows_what_serves(tmp_path: Path) -> None:
    client = ScriptedClient(play(5))
    engine = RecordedEngine(client, facts=dict, clock=lambda: CLOCK_S)
    while len(client.polls) > 4:
        engine.poll()
    engine.start_recording(tmp_path / "a.ptop")
    while client.polls:
        engine.poll()
    engine.close()
    first, *rest = read_all(tmp_path / "a.ptop")
    assert [type(event) for event in first.events] == [Ready]
    assert len(rest) == 4


def test_the_screen_gets_the_very_figures_that_are_recorded(tmp_path: Path) -> None:
    third = msgspec.structs.replace(frame(60), uptime_s=1 / 3, wall_s=1_790_000_000 + 1 / 3)
    third = msgspec.structs.replace(
        third, throughput=msgspec.structs.replace(third.throughput, decode_tok_s=1e4 / 3)
    )
    engine = RecordedEngine(ScriptedClient([[third]]), facts=dict, clock=lambda: CLOCK_S)
    engine.start_recording(tmp_path / "a.ptop")
    (shown,) = engine.poll()
    engine.close()
    (tick,) = read_all(tmp_path / "a.ptop")
    assert tick.frame == shown
    assert isinstance(shown, Frame)
    assert shown.throughput.decode_tok_s == pytest.approx(1e4 / 3, rel=1e-7)
    assert abs(shown.wall_s - third.wall_s) <= 1e-6


def test_a_clock_that_jumps_changes_no_order(tmp_path: Path) -> None:
    """The wall clock is set back by a day and forth by a year; the monotonic one goes on."""
    jumps = [0.0] * 4 + [-86_400.0] * 4 + [3.2e7] * 4
    walls = [1_790_000_000.0 + number / 4 + jump for number, jump in enumerate(jumps)]
    frames = [msgspec.structs.replace(frame(n / 4), wall_s=wall) for n, wall in enumerate(walls)]
    polls: list[list[Report]] = [[each] for each in frames]
    ticks = [
        msgspec.structs.replace(tick, poll=msgspec.structs.replace(tick.poll, wall_s=wall))
        for tick, wall in zip(ticks_of(polls), walls, strict=True)
    ]
    read = read_all(write_recording(tmp_path / "a.ptop", ticks))
    assert [tick.poll.wall_s for tick in read] == walls
    assert [tick.clock_s for tick in read] == [CLOCK_S + number / 4 for number in range(12)]


@pytest.mark.parametrize("pages", range(10, 30, 2))
def test_wherever_the_disk_is_full_what_was_committed_is_whole(tmp_path: Path, pages: int) -> None:
    """In the midst of a second, of a new field's name, or of a segment."""

    path, ticks = tmp_path / "a.ptop", ticks_of(play(20))
    store = Store(path, {}, segment_s=1.0)
    store._connection.execute(f"PRAGMA max_page_count={pages}")
    committed, failure = 0, ""
    while not failure:
        try:
            store.write(ticks[committed : committed + 2])
            committed += 2
        except sqlite3.OperationalError as error:
            failure = failure_text(error)
    store.abandon()
    assert failure == "the disk is full"
    assert committed < len(ticks)
    if committed:
        # What failed may be putting together what was committed before it.
        read = read_all(path)
        assert read == ticks[: len(read)]
        assert len(read) in (committed, committed + 2)


def test_the_oldest_part_goes_first(tmp_path: Path) -> None:
    ticks = ticks_of(play(5 * SHORT_S))
    whole = write_recording(tmp_path / "whole.ptop", ticks, segment_s=SHORT_S)
    sizes = [
        size
        for (size,) in sqlite3.connect(whole).execute(
            "SELECT length(packed) + length(peaks) FROM segments ORDER BY first_tick"
        )
    ]
    for name, retention in {
        "age": Retention(age_s=2.2 * SHORT_S),
        "size": Retention(size_bytes=sum(sizes[-3:]) + 100),
    }.items():
        path = write_recording(tmp_path / f"{name}.ptop", ticks, retention, segment_s=SHORT_S)
        recording = Recording(path)
        assert 0 < recording.first_tick < recording.last_tick
        assert recording.last_tick == len(ticks) - 1
        assert len(recording.spans) == 3
        kept = list(recording.ticks(recording.first_tick))
        assert kept == ticks[recording.first_tick :]
        stored = recording.events(0, len(ticks))
        assert stored[0].kind == "Ready", "what served is known all the same"
        assert not [e for e in stored[1:] if e.tick < recording.first_tick]


# Files that are none


def test_a_newer_version_is_one_line(session: tuple[Path, list[Tick]], tmp_path: Path) -> None:
    path = tmp_path / "new.ptop"
    shutil.copy(session[0], path)
    with closing(sqlite3.connect(path)) as file:
        file.execute(f"PRAGMA user_version={SCHEMA_VERSION + 1}")
    with pytest.raises(RecordingError, match=r"was recorded by a newer prodtop .*: upgrade"):
        Recording(path)


CHANGES = {
    "another table": "CREATE TABLE mine (a)",
    "a view": "CREATE VIEW mine AS SELECT 1",
    "a view in a table's place": "DROP TABLE segments; CREATE VIEW segments AS SELECT 1",
    "a trigger": "CREATE TRIGGER mine AFTER INSERT ON meta BEGIN SELECT 1; END",
    "a missing table": "DROP TABLE events",
    "a part missing in the middle": "DELETE FROM segments WHERE first_tick > 0 AND"
    " first_tick < (SELECT max(first_tick) FROM segments)",
    "no part at all": "DELETE FROM segments",
    "a text for bytes": "UPDATE segments SET packed = 'hello'",
    "no bytes": "UPDATE segments SET packed = x''",
    "another segment's bytes": "UPDATE segments SET packed ="
    " (SELECT packed FROM segments ORDER BY first_tick DESC LIMIT 1)",
    "times that are none": "UPDATE segments SET times = x'ff'",
    "too many ticks": "UPDATE segments SET ticks = 1000000000000",
    "ticks below 0": "UPDATE segments SET ticks = -1",
    "a clock that runs backwards": "UPDATE segments SET began_clock_s = ended_clock_s + 1",
    "an endless time": "UPDATE segments SET ended_clock_s = 9e999",
    "names that are none": "UPDATE paths SET path = '{' WHERE number = 3",
    "a name twice": "UPDATE paths SET path = (SELECT path FROM paths WHERE number = 4)"
    " WHERE number = 3",
    "a name that is nested": "UPDATE paths SET path = '[\"frame\", [1]]' WHERE number = 3",
    "a missing name": "DELETE FROM paths WHERE number = 3",
    "names without an end": "DELETE FROM paths WHERE number > 30",
    "an event that is none": 'UPDATE events SET message = \'{"type": "Shutdown"}\'',
    "an event of text": "UPDATE events SET message = 'x'",
}


@pytest.mark.parametrize("change", CHANGES)
def test_an_edited_file_is_one_error(
    session: tuple[Path, list[Tick]], tmp_path: Path, change: str
) -> None:
    path = tmp_path / "edited.ptop"
    shutil.copy(session[0], path)
    with closing(sqlite3.connect(path)) as file:
        file.executescript(CHANGES[change])
    with pytest.raises(RecordingError) as error:
        read_all(path)
    assert "\n" not in str(error.value)
    assert str(path) in str(error.value)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_damaged_file_reads_or_is_one_error(
    session: tuple[Path, list[Tick]], tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    content = bytearray(session[0].read_bytes())
    if data.draw(st.booleans(), label="truncated"):
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    for _ in range(data.draw(st.integers(0, 8), label="changes")):
        if content:
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("damaged") / "a.ptop"
    path.write_bytes(content)
    try:
        read_all(path)
    except RecordingError as error:
        told = str(error)
    else:
        told = ""
    assert told.isprintable()


def test_no_escape_of_a_file_is_in_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.ptop"
    ticks = ticks_of([[Note(message=HOSTILE), frame(1), host(1)], [frame(2)]])
    write_recording(path, ticks)
    assert read_all(path) == ticks, "the screen cleans it, as what comes from an engine"
    with closing(sqlite3.connect(path)) as file, file:
        file.execute("UPDATE paths SET path = ? WHERE number = 0", (HOSTILE,))
    with pytest.raises(RecordingError) as error:
        Recording(path)
    assert str(error.value).isprintable()


def test_peaks_that_are_a_bomb_are_bounded(
    session: tuple[Path, list[Tick]], tmp_path: Path
) -> None:
    path = tmp_path / "bomb.ptop"
    shutil.copy(session[0], path)
    with closing(sqlite3.connect(path)) as file, file:
        file.execute("UPDATE segments SET peaks = ?", (zlib.compress(bytes(64 << 20)),))
    recording = Recording(path)
    with pytest.raises(RecordingError, match="more than a recording has"):
        recording.peaks(0, 10**6)


def test_switches_are_events_and_in_their_ticks(session: tuple[Path, list[Tick]]) -> None:
    path, ticks = session
    recording = Recording(path)
    stored = [each for each in recording.events(0, 10**6) if isinstance(each.event, Switched)]
    expected = [
        (number, tick.frame.at_s if tick.frame else None)
        for number, tick in enumerate(ticks)
        if any(isinstance(event, Switched) for event in tick.events)
    ]
    assert [(each.tick, each.worker_s) for each in stored] == expected
    assert expected
