"""Figures that need every request of a cell: goodput, Little's law, what a response hit saves."""

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec

from ..protocol import CellResult, RequestSample


class Limits(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The service level of one request, in milliseconds; `None` sets no limit."""

    ttft_ms: float | None = None
    ttfb_ms: float | None = None
    tpot_ms: float | None = None
    e2e_ms: float | None = None

    def given(self) -> dict[str, float]:
        """The limits that are set, by the name of the latency."""
        fields = msgspec.structs.asdict(self)
        return {name: value for name, value in fields.items() if value is not None}


NO_LIMITS = Limits()


class Little(msgspec.Struct, frozen=True, kw_only=True):
    """Both sides of Little's law, measured apart: they agree in steady state."""

    in_system: float
    """L: the time average of the requests in the system."""
    rate_times_residence: float
    """λ·W: arrivals a second, times the mean time in the system of those that arrived."""


def _missed(sample: RequestSample, limits: Mapping[str, float]) -> list[str]:
    """The limits that a finished request missed, by name.

    A latency that it does not have (TPOT of one token, TTFT of a response hit) is not missed: its
    answer came.
    """
    return [
        name
        for name, limit in limits.items()
        if (value := getattr(sample, name)) is not None and value > limit
    ]


def _good(samples: Sequence[RequestSample], limits: Limits) -> int:
    """How many requests finished within every limit."""
    given = limits.given()
    return sum(each.finished and not _missed(each, given) for each in samples)


def goodput_req_s(result: CellResult, limits: Limits) -> float | None:
    """Requests a second that met every limit; `None` without samples or duration."""
    if result.samples is None or result.duration_s <= 0:
        return None
    return _good(result.samples, limits) / result.duration_s


def attainment(result: CellResult, limits: Limits) -> float | None:
    """The share of all requests that met every limit, rejected ones among those that did not."""
    if result.samples is None:
        return None
    total = len(result.samples) + result.rejected
    return _good(result.samples, limits) / total if total else None


def missed_share(result: CellResult, limits: Limits) -> dict[str, float]:
    """Of each limit the share of finished requests that missed it."""
    finished = [each for each in result.samples or [] if each.finished]
    if not finished:
        return {}
    given = limits.given()
    misses = Counter(name for each in finished for name in _missed(each, given))
    return {name: misses[name] / len(finished) for name in given}


def cache_speedup(result: CellResult) -> float | None:
    """Median E2E of the requests that were computed over that of response hits.

    `None` where either kind is missing.
    """
    finished = [each for each in result.samples or [] if each.finished]
    hits = [each.e2e_ms for each in finished if each.response_hit and each.e2e_ms is not None]
    others = [each.e2e_ms for each in finished if not each.response_hit and each.e2e_ms is not None]
    if not hits or not others:
        return None
    hit_ms = statistics.median(hits)
    return statistics.median(others) / hit_ms if hit_ms > 0 else None


def little(samples: Sequence[RequestSample]) -> Little | None:
    """Little's law over the middle half of the time in which requests arrived.

    The quarters at both ends are left out: the system fills in the one, and drains after the
    other. Over the whole run both sides are the same sum, and would agree whatever happened.
    `None` where nothing arrives in that half.
    """
    if not samples:
        return None
    last_s = max(each.arrival_s for each in samples)
    begin_s, end_s = last_s / 4, last_s * 3 / 4
    arrived = [each for each in samples if begin_s <= each.arrival_s < end_s]
    span_s = end_s - begin_s
    if not arrived or span_s <= 0:
        return None
    inside_s = sum(
        max(0.0, min(each.end_s, end_s) - max(each.arrival_s, begin_s)) for each in samples
    )
    residence_s = sum(each.end_s - each.arrival_s for each in arrived)
    return Little(in_system=inside_s / span_s, rate_times_residence=residence_s / span_s)
