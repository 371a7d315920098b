"""How a trace tells that it was served, against sums over its lines."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prodtop.engine.protocol.errors import BadInputError
from prodtop.engine.traces.mooncake import read_line, write_line
from prodtop.engine.traces.rows import Timing
from prodtop.engine.traces.served import served
from prodtop.engine.traces.trace_file import parse_trace

NEAR = 1e-9
TIMINGS = st.builds(
    Timing,
    ttft_ms=st.none() | st.integers(0, 500).map(float),
    e2e_ms=st.none() | st.integers(501, 9000).map(float),
    cached_tokens=st.none() | st.integers(0, 8),
)
LINES = st.lists(st.tuples(st.integers(0, 60_000), st.integers(1, 9), TIMINGS), min_size=1)


def line(at_ms: int, output: int, timing: Timing) -> bytes:
    return write_line(at_ms, 8, output, [0], timing)


@given(LINES)
def test_what_is_written_is_read(lines: list[tuple[int, int, Timing]]) -> None:
    for at_ms, output, timing in lines:
        assert read_line(line(at_ms, output, timing)).timing == timing


@given(LINES)
def test_figures_are_those_of_the_lines_that_tell(lines: list[tuple[int, int, Timing]]) -> None:
    found = served(parse_trace(b"".join(line(*each) for each in lines), "t"))
    told = [(at, output, each) for at, output, each in lines if each.e2e_ms is not None]
    assert (found.requests, found.told) == (len(lines), len(told))
    if not told:
        assert (found.duration_s, found.output_tok_s, found.e2e_ms) == (None, None, None)
        return
    ends_ms = [at + (each.e2e_ms or 0.0) for at, _, each in told]
    span_s = (max(ends_ms) - min(at for at, _, _ in told)) / 1e3
    assert found.duration_s == pytest.approx(span_s)
    assert found.output_tok_s == pytest.approx(sum(output for _, output, _ in told) / span_s)
    assert found.e2e_ms is not None
    assert found.e2e_ms.mean == pytest.approx(sum(e.e2e_ms or 0.0 for *_, e in told) / len(told))
    # Of any moment at which one comes: who came by then and has not ended.
    most = max(
        sum(at <= moment < at + (each.e2e_ms or 0.0) or at == moment for at, _, each in told)
        for moment, _, _ in told
    )
    assert found.peak_running == most
    cached = [each.cached_tokens for *_, each in lines if each.cached_tokens is not None]
    rate = None if not cached else sum(cached) / (8 * len(cached))
    assert found.prefix_hit_rate == (None if rate is None else pytest.approx(rate))
    paced = [
        ((each.e2e_ms or 0.0) - each.ttft_ms) / (output - 1)
        for _, output, each in told
        if output > 1 and each.ttft_ms is not None
    ]
    assert (found.tpot_ms is None) == (not paced)
    if found.tpot_ms is not None:
        assert found.tpot_ms.mean == pytest.approx(sum(paced) / len(paced))


def test_a_part_of_a_trace_has_its_own_timings() -> None:
    lines = [(1000 * n, 2, Timing(1.0, 10.0 * (n + 1))) for n in range(4)]
    part = parse_trace(b"".join(line(*each) for each in lines), "t").part(1.5, 1)
    assert part.e2e_ms is not None
    assert list(part.e2e_ms) == [30.0]


def test_a_trace_of_others_tells_nothing() -> None:
    data = b'{"timestamp": 0, "input_length": 3, "output_length": 2}\n'
    found = served(parse_trace(data, "t"))
    assert (found.requests, found.told, found.ttft_ms, found.mean_running) == (1, 0, None, None)


@pytest.mark.parametrize("field", ["ttft_ms", "e2e_ms", "cached_length"])
def test_what_cannot_be_is_refused_by_its_line(field: str, tmp_path: Path) -> None:
    good = b'{"timestamp": 0, "input_length": 3, "output_length": 2}\n'
    bad = good.replace(b"}", f', "{field}": -1}}'.encode())
    with pytest.raises(BadInputError, match="line 2"):
        parse_trace(good + bad, "t")
