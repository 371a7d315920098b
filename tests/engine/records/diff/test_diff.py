"""Verdicts of a diff: what is the same is no difference, and what is worse is worse."""

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prodtop.engine.compare.against import parse_rule
from prodtop.engine.protocol import LATENCY_EDGES_MS
from prodtop.engine.protocol.errors import BadInputError
from prodtop.engine.records.diff.diff import Change, Diff, Verdict, diff_of, histogram
from prodtop.engine.records.diff.html import html_diff
from prodtop.engine.records.diff.metrics import DIFF_METRICS, Source, diff_metric_named
from prodtop.engine.records.diff.side import Side
from prodtop.engine.records.diff.wording import (
    histogram_lines,
    ordered,
    row,
    setting_rows,
    summary,
)


def side(factor: float = 1.0, *, seed: int = 1, count: int = 400, name: str = "a") -> Side:
    """A side whose every sample is `factor` times as large as that of 1."""
    generator = np.random.default_rng(seed)

    def values(mean: float) -> list[float]:
        return [float(each) for each in generator.normal(mean, mean / 20, count) * factor]

    series = {m.samples: values(100.0) for m in DIFF_METRICS.values() if m.source is Source.SERIES}
    latencies = ("ttft", "ttfb", "tpot", "e2e", "queue")
    return Side(
        name=name,
        kind="recording",
        span_s=float(count),
        settings={"strategy": ["hybrid"]},
        series=series,
        requests={name: values(80.0) for name in latencies} | {"success": [1.0] * count},
        counted={"memory_bytes": 2.0**30 * factor},
        energy=[(energy, 10.0) for energy in values(1.0)],
    )


def by_name(found: Diff) -> dict[str, Change]:
    return {each.metric: each for each in found.changes}


def test_every_metric_of_the_same_run_shows_no_difference() -> None:
    found = diff_of(side(seed=1), side(seed=2))
    known = [each for each in found.changes if each.old is not None]
    others = [each for each in known if each.verdict is not Verdict.NO_DIFFERENCE]
    # At 95 % one in twenty is chance.
    assert len(others) <= 4
    assert len(known) > 30
    assert found.settings == []


@pytest.mark.parametrize("factor", [0.8, 1.25])
def test_every_metric_that_changed_has_the_verdict_of_its_direction(factor: float) -> None:
    found = by_name(diff_of(side(), side(factor, seed=2)))
    more = factor > 1
    for name, change in found.items():
        better = DIFF_METRICS[name].higher_is_better
        if name == "success_rate":
            assert change.verdict is Verdict.NO_DIFFERENCE
        elif better is None:
            assert change.verdict is (Verdict.HIGHER if more else Verdict.LOWER), name
        else:
            assert change.verdict is (Verdict.BETTER if better is more else Verdict.WORSE), name
        if change.low is not None and change.high is not None and change.old is not None:
            assert change.new is not None
            assert change.low <= change.new - change.old <= change.high


def test_too_few_samples_decide_nothing_and_one_side_is_said() -> None:
    few, none = side(count=8), Side(name="b", kind="snapshot")
    for change in by_name(diff_of(few, few)).values():
        exact = DIFF_METRICS[change.metric].source is Source.COUNTED
        assert change.verdict is (Verdict.NO_DIFFERENCE if exact else Verdict.UNDECIDED)
    assert {each.verdict for each in diff_of(few, none).changes} == {Verdict.ONE_SIDE}
    assert diff_of(none, none).changes == []


def test_settings_that_differ_or_were_changed_meanwhile() -> None:
    old = msgspec.structs.replace(side(), settings={"strategy": ["hybrid"], "model": ["a"]})
    new = msgspec.structs.replace(
        side(), settings={"strategy": ["hybrid", "single"], "model": ["a"], "window": ["1m"]}
    )
    assert setting_rows(diff_of(old, new)) == [
        ("strategy", "hybrid", "hybrid, then single"),
        ("window", "--", "1m"),
    ]


@pytest.mark.parametrize(
    ("rule", "factor", "failed"),
    [
        ("ttft_ms.p95>+10%", 1.25, True),
        ("ttft_p95_ms>+10%", 1.25, True),
        ("ttft_ms.p95>+30%", 1.25, False),
        ("ttft_ms.p95>+10%", 1.0, False),
        ("output_tok_s<-5%", 0.8, True),
        ("output_tok_s<-5%", 1.25, False),
        ("memory_bytes>+1%", 1.25, True),
    ],
)
def test_a_rule_fails_where_the_change_is_beyond_it(
    rule: str, factor: float, *, failed: bool
) -> None:
    parsed = parse_rule(rule, diff_metric_named)
    (judged,) = diff_of(side(), side(factor, seed=2), [parsed]).rules
    assert judged.failed is failed, judged.text


def test_a_rule_fails_where_a_metric_is_no_longer_measured_and_never_by_chance() -> None:
    rule = parse_rule("ttft_ms.p95>+10%", diff_metric_named)
    none = Side(name="b", kind="snapshot")
    assert diff_of(side(), none, [rule]).rules[0].failed
    assert not diff_of(none, side(), [rule]).rules[0].failed
    few = diff_of(side(count=8), side(3.0, count=8), [rule])
    assert not few.rules[0].failed
    assert "too few samples" in few.rules[0].text


def test_a_metric_that_is_none_is_named_with_those_there_are() -> None:
    with pytest.raises(BadInputError, match="unknown metric 'speed': choose from output_tok_s"):
        parse_rule("speed>+1%", diff_metric_named)


def test_histograms_count_each_request_once_between_the_edges_of_frames() -> None:
    values = [0.0, 0.1, LATENCY_EDGES_MS[3], 5.0, 1e9]
    counts = histogram(values)
    assert len(counts) == len(LATENCY_EDGES_MS) + 1
    assert sum(counts) == len(values)
    assert (counts[0], counts[-1], counts[4]) == (1, 1, 1)


anything = st.floats(-1e21, 1e21, allow_nan=False)


@given(
    st.lists(anything, max_size=60),
    st.lists(anything, max_size=60),
    st.lists(st.tuples(anything, anything), max_size=40),
)
@settings(deadline=None, max_examples=40)
def test_whatever_the_samples_are_it_is_drawn(
    one: list[float], other: list[float], energy: list[tuple[float, float]]
) -> None:
    sides = [
        Side(
            name="<a & b>",
            kind="recording",
            series={"decode_tok_s": values, "mbu": values},
            requests={"ttft": values, "success": values},
            energy=energy,
        )
        for values in (one, other)
    ]
    found = diff_of(sides[0], sides[1])
    assert all(
        each.low is None or (each.high is not None and math.isfinite(each.low))
        for each in found.changes
    )
    for each in ordered(found.changes):
        assert len(row(each)) == 6
    lines = [line for each in found.histograms for line in histogram_lines(each)]
    assert all(line.isprintable() for line in (*lines, summary(found)))
    assert "<a & b>" not in html_diff(found)
    msgspec.json.encode(found)
