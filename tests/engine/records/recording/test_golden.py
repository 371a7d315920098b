"""Recordings that were made by this version open in every later one.

`golden/schema-N.ptop` was written by the first version of schema N, and cut off in its third
segment as by a kill. It is never written again: what it holds stands here.
"""

from pathlib import Path

import pytest
from frames import EPOCH_S
from of_our_own import known
from prodtop.engine.client.replay_engine import ReplayEngine
from prodtop.engine.protocol import ChildDied, Note, StrategyName, Switched
from prodtop.engine.records.export.formats import FORMATS
from prodtop.engine.records.recording.reader import Recording
from prodtop.tui.state.replay_monitor import ReplayMonitor
from recording_samples import CLOCK_S

GOLDEN = Path(__file__).parent / "golden"
FILES = sorted(GOLDEN.glob("*.ptop"))


@pytest.fixture(params=FILES, ids=lambda path: path.stem)
def recording(request: pytest.FixtureRequest) -> Recording:
    path: Path = request.param
    return Recording(path)


def test_there_is_one_of_every_schema() -> None:
    from prodtop.engine.records.recording.database import SCHEMA_VERSION

    assert [path.stem for path in FILES] == [f"schema-{n + 1}" for n in range(SCHEMA_VERSION)]


def test_its_figures_are_what_they_were(recording: Recording) -> None:
    ticks = list(recording.ticks(recording.first_tick))
    assert len(ticks) == 28
    assert [tick.clock_s - CLOCK_S for tick in ticks] == [number / 4 for number in range(28)]
    assert [tick.poll.wall_s - EPOCH_S for tick in ticks] == [number / 4 for number in range(28)]
    frames = [tick.frame for tick in ticks if tick.frame is not None]
    assert [frame.sequence for frame in frames] == list(range(25))
    assert {frame.model.name for frame in frames} == {"qwen3-0.6b"}
    assert round(known(frames[-1].throughput.decode_tok_s), 3) == 24777.688
    assert round(known(frames[12].memory).used_bytes / 2**30, 6) == 21.4
    assert frames[-1].stream is not None
    assert frames[-1].stream.text.startswith("The lamp in the window")
    assert [len(tick.ended) for tick in ticks if tick.frame] == [2] * 25
    assert ticks[-1].ended[0].ttft_ms == 42.0
    assert ticks[-1].host is not None
    assert ticks[-1].host.gpus[0].uuid == "GPU-00000000"
    assert ticks[-1].live is not None
    assert len(ticks[-1].live.requests) == 32


def test_its_events_are_what_they_were(recording: Recording) -> None:
    stored = recording.events(0, 100)
    assert [(each.tick, each.kind) for each in stored] == [
        (0, "Ready"),
        (9, "ChildDied"),
        (10, "command SetStrategy"),
        (10, "ChildStarted"),
        (10, "Note"),
        (13, "Switched"),
        (20, "Switched"),
    ]
    died, note, switched = stored[1].event, stored[4].event, stored[5].event
    assert isinstance(died, ChildDied)
    assert died.failed_requests == 3
    assert note == Note(message="a note: ✓")
    assert isinstance(switched, Switched)
    assert (switched.old, switched.new) == (StrategyName.SINGLE, StrategyName.CONTINUOUS)


def test_the_screen_shows_it_and_every_format_takes_it(recording: Recording) -> None:
    engine = ReplayEngine(recording)
    monitor = ReplayMonitor(engine)
    monitor.seek(recording.last_tick)
    assert monitor.poll()
    frame = monitor.moment().frame
    assert frame is not None
    assert frame.sequence == 24
    assert recording.peaks(0, 100)
    for lines in FORMATS.values():
        assert len(list(lines(recording))) > 5
