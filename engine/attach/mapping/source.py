"""What a table of an engine is made of: which metrics, put together how, are a figure.

A name is one that the engine's documentation has; `canonical` makes all ways to write it one. A
name that begins with `/` is a field of a JSON answer: `/slots used_tokens`.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Literal

from .names import Labels, canonical

known = lru_cache(4096)(canonical)
"""`canonical` of the names in the tables."""


@dataclass(frozen=True)
class Metric:
    """The series of one metric whose labels have the values of `where`."""

    name: str
    where: Labels = ()

    @cached_property
    def key(self) -> str:
        """Its canonical name; of a JSON field the name as it is."""
        return self.name if self.name.startswith("/") else known(self.name)

    def holds(self, labels: Labels) -> bool:
        """Whether a series with these labels is one of it."""
        return not self.where or all(pair in labels for pair in self.where)

    def written(self, raw_name: str) -> str:
        """As PromQL has it, with the name that the server uses."""
        inner = ",".join(f'{name}="{value}"' for name, value in self.where)
        return f"{raw_name}{{{inner}}}" if inner else raw_name


Metrics = tuple[Metric, ...]


@dataclass(frozen=True)
class Level:
    """A gauge's value now: that of `plus`, and of `also` where there is one, less `minus`.

    Series of several ranks are added up, or averaged where each is a share of its own.
    """

    plus: Metrics
    minus: Metrics = ()
    also: Metrics = ()
    by: Literal["sum", "mean", "max"] = "sum"
    scale: float = 1.0


@dataclass(frozen=True)
class Label:
    """A number that stands in a label of an info metric: `block_size` of `cache_config_info`.

    "names": how many names the label lists, of the series with the greatest value, which is the
    time of its last change where an engine never takes older ones back.
    """

    metric: Metric
    label: str
    by: Literal["sum", "max", "names"] = "max"


@dataclass(frozen=True)
class Flow:
    """A counter, or several: `plus`, less `minus`; and, where there are such, `also`, less `less`.

    `needs` must be there, and is not counted. `at_end`: it moves when a request ends, so that its
    rate is taken over a longer time.
    """

    plus: Metrics
    minus: Metrics = ()
    also: Metrics = ()
    less: Metrics = ()
    needs: Metrics = ()
    scale: float = 1.0
    at_end: bool = False

    @property
    def required(self) -> Metrics:
        """Those without which there is no such figure."""
        return self.plus + self.minus + self.needs

    @property
    def metrics(self) -> Metrics:
        return self.required + self.also + self.less


@dataclass(frozen=True)
class Share:
    """The increase of `part` over that of `whole`, in the same window."""

    part: Flow
    whole: Flow


@dataclass(frozen=True)
class Spread:
    """A histogram: the metrics `base`_bucket, `base`_sum and `base`_count; `unit_ms`: of its values
    in milliseconds."""

    base: str
    where: Labels = ()
    unit_ms: float = 1e3

    @cached_property
    def parts(self) -> tuple[Metric, Metric, Metric]:
        """Its buckets, sum and count."""
        buckets, total, count = (
            Metric(f"{self.base}_{part}", self.where) for part in ("bucket", "sum", "count")
        )
        return buckets, total, count


@dataclass(frozen=True)
class Mean:
    """A latency of which only the mean is told: the increase of a time over that of a count."""

    total: Flow
    count: Flow
    unit_ms: float = 1e3


AnyLevel = Level | Label
Rate = Flow | Level
"""What is per second: a counter's rate, or a gauge that is a rate already."""
Part = Share | Level
Times = Spread | Mean


def level(*names: str, by: Literal["sum", "mean", "max"] = "sum") -> tuple[Level, ...]:
    """One gauge by its names, the preferred first."""
    return tuple(Level((Metric(name),), by=by) for name in names)


def flow(*names: str, at_end: bool = False) -> tuple[Flow, ...]:
    """One counter by its names, the preferred first."""
    return tuple(Flow((Metric(name),), at_end=at_end) for name in names)


def flow_of(name: str, **labels: str) -> Flow:
    """The series of one counter that have these labels."""
    return Flow((Metric(name, tuple(sorted(labels.items()))),))


def share(part: str, whole: str) -> Share:
    """One counter over another."""
    return Share(Flow((Metric(part),)), Flow((Metric(whole),)))


def spread(*bases: str) -> tuple[Spread, ...]:
    """One histogram of seconds by its names, the preferred first."""
    return tuple(Spread(base) for base in bases)
