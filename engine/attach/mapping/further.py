"""Figures that some engines tell and no panel has a place for: the Server panel lists them."""

from dataclasses import dataclass

from ...protocol import Unit
from .source import AnyLevel, Flow, Label, Level, Mean, Metric, Share

FurtherSource = AnyLevel | Flow | Share | Mean


@dataclass(frozen=True)
class Further:
    """One of them. `name` has 15 characters at most; `source` is in the unit that `unit` says: of a
    flow it is per second, means and shares are of the last minute."""

    name: str
    unit: Unit
    source: FurtherSource


def mean_time(name: str, base: str, **labels: str) -> Further:
    """The mean of a histogram of seconds. Its buckets are not read: of phases and transfers a mean
    says enough, and following all buckets of a server would cost more than that."""
    return Further(name, Unit.MILLISECONDS, _mean(base, 1e3, labels))


def mean_count(name: str, base: str) -> Further:
    """The mean of a histogram of tokens or the like."""
    return Further(name, Unit.COUNT, _mean(base, 1.0, {}))


def _mean(base: str, unit: float, labels: dict[str, str]) -> Mean:
    where = tuple(sorted(labels.items()))
    total, count = (Flow((Metric(f"{base}_{part}", where),)) for part in ("sum", "count"))
    return Mean(total, count, unit)


def gauge(name: str, metric: str, unit: Unit = Unit.COUNT, **labels: str) -> Further:
    """A gauge: of a share the mean of all ranks, of anything else their sum."""
    held = (Metric(metric, tuple(sorted(labels.items()))),)
    is_share = unit is Unit.SHARE
    return Further(name, unit, Level(held, by="mean") if is_share else Level(held))


def per_s(name: str, metric: str, unit: Unit = Unit.PER_S, **labels: str) -> Further:
    """How much a counter grows a second."""
    return Further(name, unit, Flow((Metric(metric, tuple(sorted(labels.items()))),)))


def share_of(name: str, part: str, whole: str) -> Further:
    """The increase of one counter over that of another."""
    return Further(name, Unit.SHARE, Share(Flow((Metric(part),)), Flow((Metric(whole),))))


def names_in(name: str, metric: str, label: str) -> Further:
    """How many names a label of an info metric lists."""
    return Further(name, Unit.COUNT, Label(Metric(metric), label, by="names"))
