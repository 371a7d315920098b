"""The figures of one table, from what is kept of a server: each with its origin, or the reason why
there is none."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ...protocol import Figure, Origin, Percentiles
from ..mapping.engine_map import EngineMap, flows
from ..mapping.source import (
    AnyLevel,
    Flow,
    Level,
    Mean,
    Metric,
    Part,
    Rate,
    Share,
    Spread,
    Times,
)
from .gauges import Gauges, Told
from .kept_scrapes import Between, KeptScrapes, Spanned
from .quantiles import percentiles

RATE_SPAN_S: Final = 2.0
"""The time over which rates are taken: two scrapes."""
SECOND_SCRAPE: Final = "needs a second scrape"


@dataclass(frozen=True, slots=True)
class Figures:
    """Reads sources against what is kept. `raw_names`: how the server writes canonical names."""

    table: EngineMap
    kept: KeptScrapes
    gauges: Gauges
    raw_names: dict[str, str]

    @property
    def rate_span_s(self) -> float:
        """The time over which rates are taken: two scrapes, or two renewals of the export."""
        return max(RATE_SPAN_S, 2 * self.table.refresh_s)

    def level(self, sources: Sequence[AnyLevel]) -> Told | None:
        """A gauge now."""
        return self.gauges.read(sources)

    def has(self, flow: Flow) -> bool:
        """Whether the server has shown every counter that a flow needs."""
        seen = self.kept.increases.seen
        return all(metric in seen for metric in flow.required)

    def first_flow(self, sources: Sequence[Flow]) -> Flow | None:
        """The first of these that the server has."""
        return next((flow for flow in sources if self.has(flow)), None)

    def increase(self, sources: Sequence[Flow], between: Between | None) -> Told | None:
        """By how much a counter grew."""
        flow = self.first_flow(sources)
        if flow is None or between is None:
            return None
        return Told(grown(flow, between), self._growth(flow), between.end.at_s)

    def rate(
        self, sources: Sequence[Rate], between: Between | None, longer: Between | None = None
    ) -> Told | None:
        """A counter's increase per second, or a gauge that is a rate already.

        `longer`: the window for a counter that moves when a request ends, if not the same.
        """
        for source in sources:
            if isinstance(source, Level):
                told = self.gauges.read((source,))
                if told is not None:
                    return told
            elif self.has(source):
                window = longer if source.at_end and longer is not None else between
                if window is None:
                    return None
                per_s = grown(source, window) / window.span_s
                words = f"rate({self.written(source)}[{max(1, round(window.span_s))}s])"
                return Told(per_s, words, window.end.at_s)
        return None

    def part(self, sources: Sequence[Part], between: Between | None) -> Told | None:
        """A share: of increases, or a gauge; `None` where nothing was counted."""
        for source in sources:
            if isinstance(source, Level):
                told = self.gauges.read((source,))
                if told is not None:
                    return told
            elif self.has(source.part) and self.has(source.whole):
                return self.quotient((source,), between)
        return None

    def quotient(self, sources: Sequence[Share], between: Between | None) -> Told | None:
        """One increase over another."""
        for source in sources:
            if between is None or not (self.has(source.part) and self.has(source.whole)):
                continue
            whole = grown(source.whole, between)
            if whole <= 0:
                return None
            words = f"{self._growth(source.part)} ÷ {self._growth(source.whole)}"
            return Told(grown(source.part, between) / whole, words, between.end.at_s)
        return None

    def times(self, sources: Sequence[Times], between: Between | None) -> Percentiles | None:
        """A latency over a window; `None` where it has none."""
        source = self.first_times(sources)
        if source is None or between is None:
            return None
        if isinstance(source, Spread):
            histogram = between.histogram(source)
            return percentiles(histogram, source.unit_ms, exact_sum=self.table.exact_sums)
        total, count = grown(source.total, between), grown(source.count, between)
        return percentiles(Spanned(count, total, (), []), source.unit_ms)

    def mean(self, source: Mean, between: Between | None) -> Told | None:
        """One increase over another, in the unit of the source; `None` where nothing was
        counted."""
        if between is None or not (self.has(source.total) and self.has(source.count)):
            return None
        count = grown(source.count, between)
        if count <= 0:
            return None
        mean = grown(source.total, between) / count * source.unit_ms
        return Told(mean, self.written_times(source), between.end.at_s)

    def first_times(self, sources: Sequence[Times]) -> Times | None:
        """The first of these that the server has."""
        for source in sources:
            if isinstance(source, Spread):
                if source in self.kept.increases.seen:
                    return source
            elif self.has(source.total) and self.has(source.count):
                return source
        return None

    def written_times(self, source: Times) -> str:
        """A latency's source in words."""
        if isinstance(source, Mean):
            return f"{self._growth(source.total)} ÷ {self._growth(source.count)}"
        buckets, _, _ = source.parts
        name = self.raw_names.get(buckets.key, buckets.name)
        return f"histogram_quantile(increase({buckets.written(name)}))"

    def _growth(self, flow: Flow) -> str:
        return f"increase({self.written(flow)})"

    def written(self, flow: Flow) -> str:
        """A flow with the names that the server uses; of one whose series come up only once there
        is something to count, as failures of some engines, those that are waited for."""
        seen = self.kept.increases.seen
        plus = [self._name(metric) for metric in flow.plus]
        plus += [self._name(metric) for metric in flow.also if metric in seen or not flow.plus]
        minus = [self._name(metric) for metric in flow.minus]
        minus += [self._name(metric) for metric in flow.less if metric in seen]
        return " − ".join([" + ".join(plus), *minus])

    def _name(self, metric: Metric) -> str:
        return metric.written(self.raw_names.get(metric.key, metric.name))

    def missing(self, figure: Figure, sources: Sequence[AnyLevel | Rate | Part | Times]) -> Origin:
        """Why a figure is not there: the server lacks its metrics, or nothing came yet."""
        known = [source for source in sources if self._has_any(source)]
        if known and self.kept.over(math.inf) is None:
            return Origin(missing=SECOND_SCRAPE)
        if known:
            return Origin(missing="nothing counted yet")
        reason = self.table.absent.get(figure)
        if reason is None and not sources:
            reason = f"{self.table.kind.value} does not export it"
        if reason is None:
            path, _, name = _first_name(sources[0]).rpartition(" ")
            reason = f"{path} does not tell {name}" if path else f"no {name} in its metrics"
        return Origin(missing=reason)

    def _has_any(self, source: AnyLevel | Rate | Part | Times) -> bool:
        if isinstance(source, Spread):
            return source in self.kept.increases.seen
        if isinstance(source, Flow | Share | Mean):
            return all(self.has(flow) for flow in flows(source))
        return False


def grown(flow: Flow, between: Between) -> float:
    """By how much a flow grew; never less than 0."""
    total = math.fsum(between.counter(metric) for metric in flow.plus + flow.also)
    total -= math.fsum(between.counter(metric) for metric in flow.minus + flow.less)
    return max(0.0, total * flow.scale)


def _first_name(source: AnyLevel | Rate | Part | Times) -> str:
    if isinstance(source, Spread):
        return source.base
    if isinstance(source, Level):
        return source.plus[0].name
    if isinstance(source, Flow | Share | Mean):
        return flows(source)[0].metrics[0].name
    return source.metric.name
