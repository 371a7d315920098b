"""The diff of two sides: settings that differ, and each metric with its change and a verdict."""

from collections.abc import Sequence
from enum import StrEnum

import msgspec
import numpy as np

from ...compare.against import Rule
from ...compare.wording import change, digits, figure
from ...protocol import LATENCY_EDGES_MS
from .bootstrap import (
    Samples,
    Statistic,
    enough,
    interval,
    mean_of,
    percentile_of,
    ratio_of,
    resampled,
)
from .metrics import DIFF_METRICS, DiffMetric, Source
from .side import Side

ROUNDING = 1e-9
HISTOGRAMS = ("ttft", "tpot", "e2e")


class Verdict(StrEnum):
    """What is known of a change."""

    BETTER = "better"
    WORSE = "worse"
    HIGHER = "higher"
    LOWER = "lower"
    """Of a metric that is neither better nor worse."""
    NO_DIFFERENCE = "no difference measured"
    UNDECIDED = "too few samples"
    ONE_SIDE = "measured on one side"


class Method(StrEnum):
    """How the uncertainty of a change is known."""

    BLOCKS = "block bootstrap"
    EXACT = "counted"


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A metric on both sides. `low` and `high`: the difference lies between them with the
    confidence of the bootstrap; `None` where there are too few samples, or it was counted."""

    metric: str
    label: str
    old: float | None
    new: float | None
    old_samples: int
    new_samples: int
    percent: float | None
    low: float | None
    high: float | None
    method: Method
    verdict: Verdict


class SettingChange(msgspec.Struct, frozen=True, kw_only=True):
    """A setting that is another one, or was changed meanwhile. `None`: not known there."""

    name: str
    old: str | None
    new: str | None


class Histogram(msgspec.Struct, frozen=True, kw_only=True):
    """How many requests of both sides had which latency: a count for each step of
    `LATENCY_EDGES_MS`, one below them and one above."""

    latency: str
    old: list[int]
    new: list[int]


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule of `--fail-on` says."""

    rule: str
    failed: bool
    text: str


class Diff(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known of two sides."""

    old: str
    new: str
    old_span_s: float | None
    new_span_s: float | None
    settings: list[SettingChange]
    changes: list[Change]
    histograms: list[Histogram]
    rules: list[Judged] = []


def diff_of(old: Side, new: Side, rules: Sequence[Rule] = ()) -> Diff:
    """Compare two sides; metrics that neither has are left out."""
    changes = [
        found
        for metric in DIFF_METRICS.values()
        if (found := _change(metric, old, new)) is not None
    ]
    return Diff(
        old=old.name,
        new=new.name,
        old_span_s=old.span_s,
        new_span_s=new.span_s,
        settings=_settings(old, new),
        changes=changes,
        histograms=_histograms(old, new),
        rules=[_judged(rule, changes) for rule in rules],
    )


def _settings(old: Side, new: Side) -> list[SettingChange]:
    names = [*old.settings, *(name for name in new.settings if name not in old.settings)]
    return [
        SettingChange(name=name, old=_words(old, name), new=_words(new, name))
        for name in names
        if old.settings.get(name) != new.settings.get(name)
    ]


def _words(side: Side, name: str) -> str | None:
    values = side.settings.get(name)
    return None if values is None else ", then ".join(values)


def _samples(metric: DiffMetric, side: Side) -> Samples:
    match metric.source:
        case Source.SERIES:
            values: Sequence[float] = side.series.get(metric.samples, [])
        case Source.REQUESTS:
            values = side.requests.get(metric.samples, [])
        case Source.COUNTED:
            counted = side.counted.get(metric.samples)
            values = [] if counted is None else [counted]
        case Source.ENERGY:
            pairs = np.asarray(side.energy, dtype=np.float64).reshape(-1, 2)
            return pairs if len(pairs) and pairs[:, 1].sum() > 0 else pairs[:0]
    return np.asarray([value for value in values if np.isfinite(value)], dtype=np.float64)


def _statistic(metric: DiffMetric) -> Statistic:
    if metric.source is Source.ENERGY:
        return ratio_of
    return mean_of if metric.percentile is None else percentile_of(metric.percentile)


def _change(metric: DiffMetric, old: Side, new: Side) -> Change | None:
    before, after = _samples(metric, old), _samples(metric, new)
    if not len(before) and not len(after):
        return None
    statistic = _statistic(metric)
    values = [float(statistic(each[None])[0]) if len(each) else None for each in (before, after)]
    low, high = _difference(metric, before, after, statistic)
    percent = None
    if values[0] is not None and values[1] is not None and values[0] != 0:
        percent = (values[1] / values[0] - 1) * 100
    exact = metric.source is Source.COUNTED
    return Change(
        metric=metric.name,
        label=metric.label,
        old=values[0],
        new=values[1],
        old_samples=len(before),
        new_samples=len(after),
        percent=percent,
        low=low,
        high=high,
        method=Method.EXACT if exact else Method.BLOCKS,
        verdict=_verdict(metric, values[0], values[1], low, high),
    )


def _difference(
    metric: DiffMetric, before: Samples, after: Samples, statistic: Statistic
) -> tuple[float | None, float | None]:
    """Between what the difference of the two lies; `None` where too few samples say so."""
    known = all(enough(len(each), metric.percentile) for each in (before, after))
    if metric.source is Source.COUNTED or not known:
        return None, None
    with np.errstate(divide="ignore", invalid="ignore"):
        differences = resampled(after, statistic, 1) - resampled(before, statistic, 0)
    if not np.isfinite(differences).all():
        return None, None
    # What rounding alone makes is no difference.
    least = ROUNDING * max(np.abs(before).max(), np.abs(after).max())
    return interval(np.where(np.abs(differences) <= least, 0.0, differences))


def _verdict(
    metric: DiffMetric,
    old: float | None,
    new: float | None,
    low: float | None,
    high: float | None,
) -> Verdict:
    if old is None or new is None:
        return Verdict.ONE_SIDE
    if metric.source is Source.COUNTED:
        low = high = new - old
    if low is None or high is None:
        return Verdict.UNDECIDED
    if low <= 0 <= high:
        return Verdict.NO_DIFFERENCE
    if metric.higher_is_better is None:
        return Verdict.HIGHER if low > 0 else Verdict.LOWER
    return Verdict.BETTER if (low > 0) is metric.higher_is_better else Verdict.WORSE


def _histograms(old: Side, new: Side) -> list[Histogram]:
    found = []
    for name in HISTOGRAMS:
        counts = [histogram(side.requests.get(name, [])) for side in (old, new)]
        if any(map(any, counts)):
            found.append(Histogram(latency=name, old=counts[0], new=counts[1]))
    return found


def histogram(values_ms: Sequence[float]) -> list[int]:
    """How many values lie in each step of `LATENCY_EDGES_MS`."""
    places = np.searchsorted(LATENCY_EDGES_MS, np.asarray(values_ms), side="right")
    counts = np.bincount(places, minlength=len(LATENCY_EDGES_MS) + 1)
    return [int(count) for count in counts]


def _judged(rule: Rule, changes: Sequence[Change]) -> Judged:
    """A rule fails where its metric's change is beyond it, and is no mere chance; and where the
    metric is no longer measured."""
    found = next((each for each in changes if each.metric == rule.metric), None)
    metric = DIFF_METRICS[rule.metric]
    if found is None or found.old is None:
        return Judged(rule=str(rule), failed=False, text=f"{metric.label}: not measured before")
    if found.new is None:
        return Judged(rule=str(rule), failed=True, text=f"{metric.label}: no longer measured")
    values = f"{figure(found.old, metric.unit)} → {figure(found.new, metric.unit)}"
    if found.percent is None:
        text, failed = "no percentage of 0", False
    elif found.verdict in (Verdict.UNDECIDED, Verdict.NO_DIFFERENCE):
        by = change(found.old, found.new)
        text, failed = f"{found.verdict} ({by})", False
    else:
        failed = rule.is_broken_by(found.percent)
        side = "beyond" if failed else "within"
        text = f"{change(found.old, found.new)}, {side} {digits(rule.percent)} %"
    return Judged(rule=str(rule), failed=failed, text=f"{metric.label} {values}, {text}")
