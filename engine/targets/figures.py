"""Each target's figure over its window, from what was counted. Definitions: docs/production.md."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..protocol import CellResult, Frame, Percentiles, ReviewSample

NO_TRAFFIC = "no traffic"
LEAST_REPEATS = 3
"""Of the cell that is served: two tell a difference, and no spread."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A value, or why there is none, and on how much it stands."""

    value: float | None = None
    samples: int = 0
    note: str = ""


def e2e_p95_ms(found: Percentiles | None) -> Figure:
    """The 95th percentile of E2E of the requests that finished in the window."""
    if found is None or not found.count:
        return Figure(note=NO_TRAFFIC)
    return Figure(found.p95_ms, found.count)


def requests_per_s(counts: Mapping[str, float]) -> Figure:
    """Requests that finished, over the time that was watched."""
    if not (counts["finished"] or counts["arrived"]) or not counts["watched_s"]:
        return Figure(note=NO_TRAFFIC)
    arrived_per_s = counts["arrived"] / counts["watched_s"]
    return Figure(
        counts["finished"] / counts["watched_s"],
        round(counts["finished"]),
        f"{arrived_per_s:.3g}/s arrive",
    )


def utilization(counts: Mapping[str, float], *, gpu_seen: bool) -> Figure:
    """NVML's utilization of the engine's GPU, averaged over time."""
    if not gpu_seen:
        return Figure(note="NVML measures it: no GPU seen")
    return _mean(counts, "gpu")


def efficiency(counts: Mapping[str, float]) -> Figure:
    """`memory_efficiency` averaged over time."""
    return _mean(counts, "memory")


def _mean(counts: Mapping[str, float], name: str) -> Figure:
    """A level's average over the seconds it was watched, while anybody asked for anything."""
    if not (counts["finished"] or counts["arrived"]):
        return Figure(note=NO_TRAFFIC)
    seconds = counts[f"{name}_s"]
    if not seconds:
        return Figure(note="not measured yet")
    return Figure(counts[f"{name}_area"] / seconds, round(seconds))


def availability(counts: Mapping[str, float], *, server: bool) -> Figure:
    """Requests that got their answer over those that got it or were failed or turned away."""
    bad, total = unavailable(counts, server=server)
    return Figure(1 - bad / total, round(total)) if total else Figure(note=NO_TRAFFIC)


def unavailable(counts: Mapping[str, float], *, server: bool) -> tuple[float, float]:
    """Requests that were failed or turned away, and all of them: the server's where there is one,
    else the engine's."""
    if server:
        bad = counts.get("unavailable", 0.0) + counts.get("lost", 0.0)
        return bad, bad + counts.get("served", 0.0)
    bad = counts.get("failed", 0.0) + counts.get("rejected", 0.0)
    return bad, bad + counts.get("finished", 0.0)


def safety(counts: Mapping[str, float], *, guarded: bool) -> Figure:
    """Texts that passed with a finding or unjudged, over all that guards judged."""
    if not guarded:
        return Figure(note="guards measure it: [guards]")
    bad, total = violations(counts)
    return Figure(bad / total, round(total)) if total else Figure(note=NO_TRAFFIC)


def violations(counts: Mapping[str, float]) -> tuple[float, float]:
    """Texts with a violation, at most all, and all texts."""
    total = counts.get("texts", 0.0)
    return min(counts.get("flagged", 0.0) + counts.get("guard_failures", 0.0), total), total


def usd_per_request(counts: Mapping[str, float], usd_per_hour: float | None) -> Figure:
    """What the watched time cost, over the requests that finished in it."""
    if usd_per_hour is None:
        return Figure(note="a price measures it: [prices]")
    finished = counts["finished"]
    if not finished:
        return Figure(note=NO_TRAFFIC)
    return Figure(usd_per_hour * counts["watched_s"] / 3600 / finished, round(finished))


def satisfied(review: ReviewSample | None) -> Figure:
    """Accepted verdicts over all verdicts that the review queue holds."""
    if review is None or review.accepted is None or review.rejected is None:
        return Figure(note="reviews measure it: guards.review")
    total = review.accepted + review.rejected
    return Figure(review.accepted / total, total) if total else Figure(note="no verdicts yet")


def variation(frame: Frame | None, repeats: Sequence[CellResult]) -> Figure:
    """The coefficient of variation between repeats of the cell that is served: sample standard
    deviation over mean, the larger one of output tokens per second and p95 of E2E."""
    if len(repeats) < LEAST_REPEATS:
        served = "" if frame is None else f" of {frame.strategy} {frame.precision}"
        return Figure(samples=len(repeats), note=f"Compare measures it: repeats{served}")
    latencies = [each.e2e_ms.p95 for each in repeats if each.e2e_ms is not None]
    rates = [each.output_tok_s for each in repeats]
    found = [coefficient_of_variation(values) for values in (rates, latencies)]
    spreads = [each for each in found if each is not None]
    if not spreads:
        return Figure(samples=len(repeats), note="the repeats finished no request")
    return Figure(max(spreads), len(repeats))


def coefficient_of_variation(values: Sequence[float]) -> float | None:
    """Sample standard deviation over mean; `None` for too few values, or none above 0."""
    if len(values) < LEAST_REPEATS:
        return None
    mean = math.fsum(values) / len(values)
    squares = math.fsum((value - mean) ** 2 for value in values)
    return math.sqrt(squares / (len(values) - 1)) / mean if mean > 0 else None
