"""Writes expositions for tests: gauges as they are, counters and histograms that grow with time."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

START_S = 100.0
"""Counters have run for this long when a test begins."""


def series(name: str, labels: Mapping[str, str], value: float) -> str:
    """One line."""
    inner = ",".join(f'{key}="{text}"' for key, text in labels.items())
    return f"{name}{{{inner}}} {value!r}" if inner else f"{name} {value!r}"


@dataclass(frozen=True)
class Sample:
    """One series: `value` of a gauge, what a second adds to a counter."""

    name: str
    value: float
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Buckets:
    """A histogram: how many values a second come into each bucket, the last one above all bounds;
    `mean` is that of the values."""

    name: str
    bounds: tuple[float, ...]
    per_s: tuple[float, ...]
    mean: float
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Told:
    """What a server exports, with `shared` labels on every series."""

    gauges: tuple[Sample, ...] = ()
    counters: tuple[Sample, ...] = ()
    histograms: tuple[Buckets, ...] = ()
    shared: Mapping[str, str] = field(default_factory=dict)

    def lines(self, at_s: float) -> list[str]:
        """The lines at `at_s` seconds after the test's start."""
        grown_s = START_S + at_s
        lines = [self._line(each, each.value) for each in self.gauges]
        lines += [self._line(each, each.value * grown_s) for each in self.counters]
        for each in self.histograms:
            lines += self._histogram(each, grown_s)
        return lines

    def body(self, at_s: float) -> bytes:
        """An exposition."""
        return "\n".join(["# HELP x y", "# TYPE x gauge", *self.lines(at_s), ""]).encode()

    def _line(self, sample: Sample, value: float) -> str:
        return series(sample.name, {**self.shared, **sample.labels}, value)

    def _histogram(self, held: Buckets, grown_s: float) -> Iterable[str]:
        labels = {**self.shared, **held.labels}
        below = 0.0
        for bound, per_s in zip((*held.bounds, float("inf")), held.per_s, strict=True):
            below += per_s * grown_s
            le = "+Inf" if bound == float("inf") else repr(bound)
            yield series(f"{held.name}_bucket", {**labels, "le": le}, below)
        yield series(f"{held.name}_sum", labels, below * held.mean)
        yield series(f"{held.name}_count", labels, below)
