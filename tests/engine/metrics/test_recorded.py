"""The figures of what a recorded trace tells of its requests."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prodtop.engine.metrics.histogram import RELATIVE_ERROR
from prodtop.engine.metrics.recorded import played_part, recorded_figures
from prodtop.engine.traces.rows import Measured, Row


def row(at_s: float, output: int = 10, prompt: int = 100, **told: float | bool | None) -> Row:
    measured = Measured(**told) if told else None  # type: ignore[arg-type]  # by keyword
    return Row(at_s, prompt, output, None, measured)


@given(st.lists(st.floats(1.0, 1e6), min_size=1, max_size=200))
def test_percentiles_are_those_of_the_lines(times_ms: list[float]) -> None:
    rows = [row(float(n), ttft_ms=each, e2e_ms=each, ok=True) for n, each in enumerate(times_ms)]
    found = recorded_figures(rows)
    assert found is not None
    assert found.ttft_ms is not None
    assert found.tpot_ms is None, "no line tells of it"
    exact = np.quantile(times_ms, (0.5, 0.95, 0.99), method="inverted_cdf")
    got = [found.ttft_ms.p50, found.ttft_ms.p95, found.ttft_ms.p99]
    assert got == pytest.approx(list(exact), rel=2 * RELATIVE_ERROR)
    assert found.ttft_ms.mean == pytest.approx(np.mean(times_ms))
    assert found.e2e_ms == found.ttft_ms


def test_those_that_failed_are_counted_and_are_in_no_other_figure() -> None:
    rows = [
        row(10.0, ttft_ms=50.0, tpot_ms=5.0, e2e_ms=1000.0, cached_tokens=25, ok=True),
        row(10.5, output=7, e2e_ms=9500.0, ok=False),
        row(11.0, ttft_ms=70.0, tpot_ms=9.0, e2e_ms=2000.0, cached_tokens=75, ok=True),
        row(12.0, ttft_ms=60.0, e2e_ms=500.0, ok=True),
    ]
    found = recorded_figures(rows)
    assert found is not None
    assert (found.requests, found.measured, found.failed) == (4, 4, 1)
    # To the end of the last, which failed: 30 tokens reached their clients meanwhile.
    assert found.duration_s == pytest.approx(10.0)
    assert found.output_tok_s == pytest.approx(3.0)
    assert found.ttft_ms is not None
    assert found.tpot_ms is not None
    assert found.e2e_ms is not None
    assert found.ttft_ms.mean == pytest.approx(60.0)
    assert found.tpot_ms.mean == pytest.approx(7.0)
    assert found.e2e_ms.mean == pytest.approx(3500 / 3)
    # Of the prompts whose answers tell.
    assert found.prefix_hit_rate == pytest.approx(0.5)


def test_what_no_line_tells_is_missing() -> None:
    assert recorded_figures([row(0.0), row(1.0)]) is None
    found = recorded_figures([row(0.0, ttft_ms=3.0), row(1.0)])
    assert found is not None
    assert (found.requests, found.measured) == (2, 1)
    missing = (found.failed, found.duration_s, found.output_tok_s, found.e2e_ms)
    assert missing == (None,) * 4
    assert found.prefix_hit_rate is None


PART = [
    row(99.0, output=0, ok=False),
    row(102.0, e2e_ms=2.0),
    row(100.0, e2e_ms=1.0),
    row(101.0, output=0, ok=False),
    row(103.0, e2e_ms=3.0),
]


@pytest.mark.parametrize(
    ("start_s", "most", "times"),
    [
        (0.0, None, [99, 100, 101, 102, 103]),
        (0.0, 2, [99, 100, 101, 102]),
        (0.5, None, [101, 102, 103]),
        (1.5, 1, [102]),
    ],
)
def test_the_part_is_the_one_that_is_played(
    start_s: float, most: int | None, times: list[int]
) -> None:
    assert [each.at_s for each in played_part(PART, start_s, most)] == times
