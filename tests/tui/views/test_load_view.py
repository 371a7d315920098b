"""The load in words: as much as fits, the most needed last to go."""

import msgspec
import pytest
from frame_latencies import percentiles
from frames import frame
from hypothesis import given
from hypothesis import strategies as st
from live_moments import at
from prodtop.engine.protocol import LoadSpec, TraceProgress, TraceRecording, TraceSpec
from prodtop.tui.drawing.line import Line, first_fitting
from prodtop.tui.state.moment import Moment, Pending
from prodtop.tui.style.glyphs import ASCII, UNICODE
from prodtop.tui.views.load import load_lines, trace_lines
from prodtop.tui.views.panel import Room

TRACE = LoadSpec(trace=TraceSpec(path="/data/azure_llm_2023_conv.csv", speed=2))
ROOM = Room(200, 1, UNICODE)
PLAYED = TraceProgress(entries=19_366, arrived=7_359)
DISPATCH = msgspec.structs.replace(percentiles(1.0, 0.0), p50_ms=1.2, p99_ms=3.4)
PLAYING = msgspec.structs.replace(frame(load=TRACE), trace=PLAYED, dispatch=DISPATCH)


def load_line(moment: Moment, room: Room, width: int) -> Line:
    return first_fitting(load_lines(moment, room), width)


@pytest.mark.parametrize(
    ("width", "text"),
    [
        (90, "load ▮▮▮▯▯▯▯▯ trace azure_llm_2023_conv.csv ×2 · 38 % · dispatch p99 3.4 ms"),
        (66, "load trace azure_llm_2023_conv.csv ×2 · 38 % · dispatch p99 3.4 ms"),
        (52, "load ▮▯▯▯ trace azure_llm_2023_conv.csv ×2 · 38 %"),
        (40, "load ▮▮▮▯▯▯▯▯ azure_llm_202… ×2 · 38 %"),
        (22, "load azure_llm_202… ×2"),
        (14, "load trace ×2"),
        (5, ""),
    ],
)
def test_a_trace_is_told_in_as_many_cells_as_there_are(width: int, text: str) -> None:
    assert load_line(at(PLAYING), ROOM, width).plain == text


@given(st.integers(0, 120), st.sampled_from([UNICODE, ASCII]))
def test_no_line_is_wider_than_its_place(width: int, glyphs: object) -> None:
    room = Room(width, 1, glyphs)  # type: ignore[arg-type]  # one of the two sets
    for load in (TRACE, LoadSpec(users=8), LoadSpec(rate_per_s=3)):
        shown = msgspec.structs.replace(PLAYING, load=load)
        found = load_line(at(shown), room, width)
        assert found.width <= width
        if glyphs is ASCII:
            assert found.plain.isascii()


def test_what_was_not_measured_is_missing() -> None:
    unmeasured = msgspec.structs.replace(PLAYING, dispatch=None)
    assert load_line(at(unmeasured), ROOM, 100).plain.endswith("· dispatch p99 --")
    assert load_line(at(frame(load=TRACE)), ROOM, 100).plain.endswith("conv.csv ×2")


def test_a_loop_says_its_round_and_a_pause_that_there_is_none() -> None:
    looped = msgspec.structs.replace(
        PLAYING, trace=msgspec.structs.replace(PLAYED, round=3), dispatch=None
    )
    assert "round 3, 38 %" in load_line(at(looped), ROOM, 100).plain
    paused = msgspec.structs.replace(TRACE, paused=True)
    pending = at(PLAYING, pending=Pending(load=paused))
    assert load_line(pending, ROOM, 100).plain.endswith(" no load")


def test_the_queue_tells_of_a_trace_and_of_a_recording() -> None:
    assert trace_lines(frame(), ROOM) == []
    clipped = msgspec.structs.replace(PLAYED, clipped_prompts=3, clipped_outputs=1)
    shown = msgspec.structs.replace(
        PLAYING,
        trace=clipped,
        recording=TraceRecording(path="/tmp/own.jsonl", requests=1203),
    )
    trace, recording = (each.plain for each in trace_lines(shown, ROOM))
    assert trace == "trace 7,359 of 19,366 · dispatch p50 1.2 ms p99 3.4 ms · 4 cut to fit"
    assert recording == "recording 1,203 requests"
    stopped = msgspec.structs.replace(
        shown, trace=None, recording=TraceRecording(path="a", requests=2, stopped="No space left")
    )
    (line,) = trace_lines(stopped, ROOM)
    assert line.plain == "recording 2 requests · stopped: No space left"
