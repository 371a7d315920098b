"""The exported counts under any sequence of events, and their buckets."""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import get_args

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from prodtop.engine.metrics.collector import Metrics
from prodtop.engine.metrics.export_buckets import BOUNDS, RAW_BOUNDS, cumulative
from prodtop.engine.metrics.export_histogram import ExportHistogram
from prodtop.engine.metrics.exported import FINISH_REASONS, Exported, accepted_at
from prodtop.engine.metrics.finish_reason import FAULTS, finish_reason
from prodtop.engine.protocol.served import FinishReason
from prodtop.engine.serving.request import Request, Sampling

ALL_BOUNDS = sorted({bound for bounds in RAW_BOUNDS.values() for bound in bounds})
VALUES = st.floats(0.0, 1e5) | st.sampled_from(ALL_BOUNDS)
ENDS: dict[str, tuple[str, FinishReason]] = {
    "finish": ("stop", "stop"),
    "abort": ("aborted", "abort"),
    "fault": ("NaN", "error"),
}
"""From an event to the engine's reason and the word that is exported."""
SERVING = ("submit", "token", "draft")
EVENTS = (*ENDS, *SERVING * 4, "refuse", "hit", "reject", "bench")


@pytest.mark.parametrize("name", BOUNDS)
def test_bounds_ascend_and_every_family_has_its_own_among_the_finer_ones(name: str) -> None:
    for bounds in (RAW_BOUNDS[name], *BOUNDS[name].values()):
        assert all(low < high for low, high in pairwise(bounds))
        assert set(bounds) <= set(RAW_BOUNDS[name])


def test_gaps_are_told_apart_by_a_millisecond_where_decoding_is() -> None:
    fine = [bound for bound in BOUNDS["itl"]["prodtop"] if bound <= 0.004]
    assert all(high - low <= 0.001 for low, high in pairwise(fine))
    assert all(high / low < 1.3 for low, high in pairwise(BOUNDS["itl"]["prodtop"]))


@pytest.mark.parametrize("name", BOUNDS)
@given(values=st.lists(VALUES, max_size=40))
def test_each_familys_buckets_hold_what_was_counted(name: str, values: list[float]) -> None:
    histogram = ExportHistogram(RAW_BOUNDS[name])
    for value in values:
        histogram.add(value)
    held = histogram.exported()
    assert sum(held.counts) == len(values)
    assert held.total == pytest.approx(sum(values))
    for family, bounds in BOUNDS[name].items():
        buckets = cumulative(name, family, held.counts)
        assert [bound for bound, _ in buckets] == list(bounds)
        assert [below for _, below in buckets] == [
            sum(value <= bound for value in values) for bound in bounds
        ]


def test_a_value_that_came_often_counts_as_often() -> None:
    once, often = ExportHistogram((1.0, 2.0)), ExportHistogram((1.0, 2.0))
    often.add(1.5, 3)
    for _ in range(3):
        once.add(1.5)
    assert once.exported() == often.exported()


def test_every_finish_reason_can_be_met() -> None:
    met = {finish_reason(reason, failed=False) for reason in ("stop", "length")}
    met |= {finish_reason(reason, failed=True) for reason in (*FAULTS, "aborted", None)}
    assert met == set(FINISH_REASONS) == set(get_args(FinishReason))


def test_drafts_count_by_their_position() -> None:
    exported = Exported()
    exported.on_drafts(12, [0, 3, 0, 1], texts=3)
    exported.on_drafts(4, [4], texts=1)
    got = exported.counted().counters
    assert (got["drafts"], got["draft_tokens"], got["accepted_draft_tokens"]) == (4, 16, 8)
    assert [got[accepted_at(position)] for position in range(5)] == [3, 2, 2, 1, 0]


@dataclass
class Served:
    """What came of a sequence of events, counted one by one."""

    requests: list[Request] = field(default_factory=list)
    running: list[Request] = field(default_factory=list)
    ended: dict[FinishReason, int] = field(default_factory=lambda: dict.fromkeys(FINISH_REASONS, 0))
    refused: int = 0
    rejected: int = 0
    drafts: int = 0


@given(st.lists(st.tuples(st.sampled_from(EVENTS), st.integers(0, 99)), max_size=60))
@example([("submit", 0), ("submit", 1), ("token", 0), ("draft", 0), ("token", 0), ("finish", 1)])
def test_any_sequence_of_events_counts_what_came_of_it(events: list[tuple[str, int]]) -> None:
    metrics, told = Metrics(0.0), Served()
    for place, (event, choice) in enumerate(events):
        happen(metrics, told, event, choice, 1.0 + place / 8)
        counted = metrics.exported.counted()
        assert counted.by_reason == told.ended
        got = counted.counters
        assert got["requests_submitted"] == len(told.requests) + told.refused
        assert got["requests_refused"] == told.refused
        assert got["requests_rejected"] == told.rejected
        assert got["drafts"] == got["draft_tokens"] == told.drafts
        assert got["accepted_draft_tokens"] == got[accepted_at(0)] == told.drafts
        times_s = [request.token_times_s for request in told.requests]
        gaps_s = [float(gap) for each in times_s for gap in np.diff(each)]
        itl, output_gap = counted.histograms["itl"], counted.histograms["output_gap"]
        assert sum(itl.counts) == len(gaps_s)
        assert sum(output_gap.counts) == sum(gap > 0 for gap in gaps_s)
        assert itl.total == pytest.approx(sum(gaps_s))
        assert output_gap.total == pytest.approx(sum(gaps_s))
        assert sum(counted.histograms["ttft"].counts) == sum(map(bool, times_s))
        assert got["generation_tokens"] == sum(map(len, times_s))


def happen(metrics: Metrics, told: Served, event: str, choice: int, now_s: float) -> None:
    """Let an event happen; one of a running request only where there is one."""
    match event:
        case "submit":
            request = Request(choice, [1, 2], 9, Sampling(), now_s, queued_at_s=now_s)
            told.requests.append(request)
            told.running.append(request)
            metrics.on_submitted(now_s, now_s, request)
        case "refuse":
            told.refused += 1
            metrics.on_refused(now_s, now_s, "too long")
        case "reject":
            told.rejected += choice
            metrics.on_rejected(choice, now_s)
        case "hit":
            request = Request(choice, [1], 9, Sampling(), now_s, finish_reason="length")
            told.requests.append(request)
            told.ended["length"] += 1
            metrics.on_submitted(now_s, now_s, request)
            metrics.on_finished(request, now_s, from_response_cache=True)
        case "bench":
            aside, stranger = Metrics(now_s), Served()
            for other in ("submit", "token", "finish"):
                happen(aside, stranger, other, choice, now_s)
        case "token" | "draft":
            step(metrics, told, now_s, drafts=int(event == "draft"))
        case _ if told.running:
            end(metrics, told, told.running.pop(choice % len(told.running)), event, now_s)


def step(metrics: Metrics, told: Served, now_s: float, *, drafts: int) -> None:
    """A token for each running request, and accepted drafts with it."""
    for request in told.running:
        request.on_token(now_s)
    metrics.exported.on_tokens(told.running)
    for request in told.running * drafts:
        request.on_token(now_s)
    accepted = drafts * len(told.running)
    told.drafts += accepted
    metrics.on_drafts(accepted, [drafts] * len(told.running), now_s, texts=accepted)
    metrics.on_step(now_s, decode_tokens=len(told.running) + accepted, rows=len(told.running))


def end(metrics: Metrics, told: Served, request: Request, event: str, now_s: float) -> None:
    request.finish_reason, reason = ENDS[event]
    told.ended[reason] += 1
    if event == "finish":
        metrics.on_finished(request, now_s)
    else:
        metrics.on_failed(now_s, request.arrival_at_s, request)
