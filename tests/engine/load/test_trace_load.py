"""A trace as a load: each request once, at its moment, whoever looks when."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from prodtop.engine.load.sequence import Arrival
from prodtop.engine.load.trace_load import Clipped, TraceLoad
from prodtop.engine.load.trace_source import trace_of
from prodtop.engine.protocol import LoadSpec, TraceSpec
from prodtop.engine.protocol.errors import BadInputError
from prodtop.engine.traces.trace import Trace, TraceFormat
from prodtop.engine.traces.trace_file import parse_trace
from trace_samples import HASHED

ROOM = 4096
SPEC = LoadSpec(trace=TraceSpec(path="t.jsonl"))


def trace_at(times_s: list[float], prompts: list[int] | None = None) -> Trace:
    """Requests at these times, of different lengths."""
    count = len(times_s)
    return Trace(
        name="t",
        format=TraceFormat.MOONCAKE,
        arrival_s=np.array(times_s, dtype=np.float64),
        prompt_tokens=np.array(prompts or range(1, count + 1), dtype=np.int64),
        output_tokens=np.arange(10, 10 + count, dtype=np.int64),
    )


def with_trace(spec: LoadSpec = SPEC, **fields: object) -> LoadSpec:
    assert spec.trace is not None
    return replace(spec, trace=replace(spec.trace, **fields))


def taken(load: TraceLoad, now_s: float, room: int | None = None) -> list[Arrival]:
    load.arrive(now_s, room)
    found: list[Arrival] = []
    while (arrival := load.take(now_s)) is not None:
        found.append(arrival)
        load.on_done(now_s)
    return found


TIMES = st.lists(st.floats(0.0, 60.0), min_size=1, max_size=40).map(
    lambda times: [0.0, *sorted(times)]
)


@given(TIMES, st.floats(0.01, 100.0), st.lists(st.floats(0.0, 5.0), max_size=15))
def test_every_request_comes_once_at_its_moment_in_order(
    times_s: list[float], speed: float, looks: list[float]
) -> None:
    load = TraceLoad(with_trace(speed=speed), trace_at(times_s), 100.0, ROOM)
    now_s = 100.0
    found: list[Arrival] = []
    for later_s in [*looks, 70.0 / speed]:
        now_s += later_s
        found += taken(load, now_s)
        assert all(each.arrival_at_s <= now_s for each in found)
    assert [each.number for each in found] == list(range(len(times_s)))
    assert [each.arrival_at_s for each in found] == pytest.approx(
        [100.0 + at_s / speed for at_s in times_s]
    )
    assert [each.max_tokens for each in found] == list(range(10, 10 + len(times_s)))
    assert all(each.ignore_eos for each in found)
    assert load.exhausted
    assert load.next_due_s() is None


def test_the_next_one_is_due_when_it_arrives() -> None:
    load = TraceLoad(with_trace(speed=2.0), trace_at([0.0, 1.0, 5.0]), 10.0, ROOM)
    due: list[float] = []
    while (due_s := load.next_due_s()) is not None:
        due.append(due_s)
        assert len(taken(load, due_s)) == 1
    assert due == pytest.approx([10.0, 10.5, 12.5])


def test_a_new_speed_holds_from_now_on_and_a_pause_stops_the_clock() -> None:
    load = TraceLoad(SPEC, trace_at([0.0, 2.0, 4.0, 6.0]), 0.0, ROOM)
    assert len(taken(load, 3.0)) == 2
    load.set_spec(with_trace(speed=0.5), 3.0)
    assert load.next_due_s() == pytest.approx(5.0)
    load.set_spec(with_trace(replace(SPEC, paused=True), speed=0.5), 4.0)
    assert load.next_due_s() is None
    assert taken(load, 400.0) == []
    load.set_spec(with_trace(speed=10.0), 500.0)
    found = taken(load, 600.0)
    # Half a second of the trace was left until the third, and two more until the fourth.
    assert [each.arrival_at_s for each in found] == pytest.approx([500.05, 500.25])
    with pytest.raises(ValueError, match="another"):
        load.set_spec(with_trace(start_s=1.0), 600.0)


def test_a_loop_begins_again_a_mean_gap_after_the_end_with_new_prompts() -> None:
    load = TraceLoad(with_trace(loop=True), trace_at([0.0, 1.0, 4.0]), 0.0, ROOM)
    found = taken(load, 13.0)
    assert [each.arrival_at_s for each in found] == pytest.approx([0, 1, 4, 6, 7, 10, 12, 13])
    rounds = [each.synthetic.round for each in found if each.synthetic is not None]
    assert rounds == [0, 0, 0, 1, 1, 1, 2, 2]
    assert not load.exhausted


@pytest.mark.parametrize("times_s", [[0.0], [0.0, 0.0, 0.0], [0.0, 1e-12]])
def test_a_loop_without_a_span_takes_time_to_look_at(times_s: list[float]) -> None:
    load = TraceLoad(with_trace(loop=True, speed=1e6), trace_at(times_s), 0.0, ROOM)
    load.arrive(1e6)
    assert load.made > 0


def test_what_finds_no_room_is_rejected_and_counted() -> None:
    load = TraceLoad(SPEC, trace_at([0.0] * 10), 0.0, ROOM)
    load.arrive(0.0, room=4)
    assert (load.made, load.rejected, load.in_flight) == (10, 6, 4)
    assert load.take(0.0) is not None
    load.reject_taken()
    assert (load.rejected, load.in_flight) == (10, 0)
    assert load.exhausted


def test_a_limit_ends_a_trace_and_a_loop() -> None:
    for loop, limit, made in ((False, 2, 2), (False, 9, 3), (True, 7, 7)):
        load = TraceLoad(with_trace(loop=loop), trace_at([0.0, 1.0, 2.0]), 0.0, ROOM, limit)
        assert len(taken(load, 1e4)) == made
        assert load.exhausted


@given(
    st.lists(st.tuples(st.integers(1, 99), st.integers(1, 99)), min_size=1, max_size=20),
    st.integers(2, 120),
)
def test_what_is_too_long_is_made_to_fit_and_counted(
    lengths: list[tuple[int, int]], room: int
) -> None:
    lines = "".join(
        f'{{"timestamp": {place}, "input_length": {prompt}, "output_length": {output}}}\n'
        for place, (prompt, output) in enumerate(lengths)
    )
    load = TraceLoad(SPEC, parse_trace(lines.encode(), "t"), 0.0, room)
    prompts = outputs = 0
    for arrival, (prompt, output) in zip(taken(load, 1e3), lengths, strict=True):
        assert arrival.prompt_tokens is not None
        assert 1 <= arrival.prompt_tokens <= prompt
        assert 1 <= arrival.max_tokens <= output
        assert arrival.prompt_tokens + arrival.max_tokens <= room
        fits = prompt + output <= room
        assert fits == ((arrival.prompt_tokens, arrival.max_tokens) == (prompt, output))
        prompts += arrival.prompt_tokens < prompt
        outputs += arrival.max_tokens < output
        # An output is cut only where it cannot be as long with any prompt.
        assert arrival.max_tokens == min(output, room - 1)
    assert load.clipped == load.will_clip == Clipped(prompts, outputs)


def test_a_file_is_read_once_until_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_bytes(HASHED)
    spec = TraceSpec(path=str(path))
    first = trace_of(spec)
    assert trace_of(spec).hash_ids is first.hash_ids
    assert len(trace_of(replace(spec, start_s=0.01, most_requests=2))) == 2
    path.write_bytes(HASHED + HASHED.splitlines(keepends=True)[-1])
    assert len(trace_of(spec)) == len(first) + 1
    path.unlink()
    with pytest.raises(BadInputError, match="there is no such file"):
        trace_of(spec)
