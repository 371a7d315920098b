"""What is kept of one engine at one address: counters since it was attached, gauges, trends."""

from dataclasses import dataclass

from ...metrics.trend import Trend
from ...protocol import LatencyCounts
from ..mapping.engine_map import EngineMap
from ..mapping.source import Level, Metric, Spread, Times
from .exposition import Exposition
from .figures import Figures
from .gauges import Gauges
from .increases import Increases
from .kept_scrapes import LONGEST_GAP_S, Between, KeptScrapes
from .rebinning import Rebinned

_START = Metric("process_start_time_seconds")
_SAME_CLOCK_S = 5.0
"""The server's clock and ours may differ by this."""


@dataclass
class _Level:
    """Requests that ran at the last scrape, and when that was."""

    at_s: float
    running: float


class Session:
    """One engine since it was first scraped; another one at the same address begins a new session.

    `began_s` is when it was attached.
    """

    def __init__(self, table: EngineMap, gauges: Gauges, began_s: float) -> None:
        self.table = table
        self.began_s = began_s
        self.gauges = gauges
        self.waiting = Trend()
        self.in_system = Trend()
        self.started_wall_s: float | None = None
        self.restarts = 0
        self._last_wall_s: float | None = None
        self._needs = table.needs
        self._increases = Increases(self._needs.counters, self._needs.spreads)
        self._kept = KeptScrapes(self._increases)
        self._raw_names: dict[str, str] = {}
        self._rebinned = {name: Rebinned() for name in LatencyCounts.__struct_fields__}
        self._last: _Level | None = None
        self._ran_s = 0.0
        self._counted_models: list[str] = []

    @property
    def figures(self) -> Figures:
        """The figures as of the last scrape."""
        return Figures(self.table, self._kept, self.gauges, self._raw_names)

    @property
    def last_at_s(self) -> float | None:
        """When the last scrape was asked for."""
        return None if self._kept.newest is None else self._kept.newest.at_s

    def take(self, scrape: Exposition, at_s: float, wall_s: float) -> None:
        """Take in a scrape; one that is no later than the last is left."""
        last_s = self.last_at_s
        if last_s is not None and at_s <= last_s:
            return
        if self.table.same_labels:
            scrape.read_one_of(self.table.same_labels)
        self.gauges.take(scrape, self._needs.gauges, at_s)
        began_since = self._note_process(scrape, wall_s)
        self._increases.take(scrape, self.started_wall_s, began_since=began_since)
        self._note_names(scrape)
        self._note_models(scrape)
        self._keep(at_s)

    @property
    def model_names(self) -> list[str]:
        """What the labels of any series call the model, without doubles, sorted."""
        return self.gauges.values_of(self.table.model_labels) or self._counted_models

    def latency_counts(self) -> LatencyCounts | None:
        """Latencies in the screen's edges; `None` of an engine without such histograms."""
        seen = self._increases.seen
        spreads = (_first_spread(getattr(self.table, name), seen) for name in self._rebinned)
        if all(spread is None for spread in spreads):
            return None
        return LatencyCounts(**{name: [*held.counts] for name, held in self._rebinned.items()})

    def _note_process(self, scrape: Exposition, wall_s: float) -> bool:
        """Note when the process that answers has begun, on its own clock; whether that was since
        the last scrape, which is only told within the two clocks' difference."""
        started = max(scrape.samples(_START.key).values(), default=None)
        before, last_wall_s = self.started_wall_s, self._last_wall_s
        self.started_wall_s, self._last_wall_s = started, wall_s
        if last_wall_s is None or started is None or started == before:
            return False
        if before is not None and started > before:
            self.restarts += 1
        return started >= last_wall_s - _SAME_CLOCK_S

    def _note_names(self, scrape: Exposition) -> None:
        names = {metric.key for metric in self._increases.counters}
        names |= {spread.parts[0].key for spread in self._increases.histograms}
        for name in names:
            if name in scrape:
                self._raw_names[name] = scrape.raw_name(name)

    def _note_models(self, scrape: Exposition) -> None:
        """Of servers that name their model with what they count alone."""
        if self.gauges.values_of(self.table.model_labels):
            return
        counts = [spread.parts[2].key for spread in self._increases.histograms]
        for label in self.table.model_labels:
            found = {
                value
                for name in (*(metric.key for metric in self._increases.counters), *counts)
                for series in scrape.samples(name)
                for key, value in series
                if key == label and value
            }
            if found:
                self._counted_models = sorted(found)
                return

    def _keep(self, at_s: float) -> None:
        running = self.gauges.read(self.table.running)
        waiting = self.gauges.read(self.table.waiting)
        if self._last is not None and running is not None:
            lasted_s = min(at_s - self._last.at_s, LONGEST_GAP_S)
            self._ran_s += lasted_s * ((running.value > 0) + (self._last.running > 0)) / 2
        self._last = None if running is None else _Level(at_s, running.value)
        in_system = None
        if waiting is not None:
            self.waiting.add(waiting.value, at_s)
            if running is not None:
                in_system = running.value + waiting.value
                self.in_system.add(in_system, at_s)
        since = self._kept.add(at_s, self._ran_s, in_system)
        if since is not None:
            self._rebin(since)

    def _rebin(self, since: Between) -> None:
        for name, rebinned in self._rebinned.items():
            spread = _first_spread(getattr(self.table, name), self._increases.seen)
            if spread is not None:
                rebinned.add(since.histogram(spread), spread.unit_ms)


def _first_spread(sources: tuple[Times, ...], seen: set[Metric | Spread]) -> Spread | None:
    for source in sources:
        if isinstance(source, Spread) and source in seen:
            return source
    return None


def ranks(gauges: Gauges, table: EngineMap) -> int:
    """Data-parallel engines whose figures are added up: 1 where they are not told apart."""
    told = [source for source in table.running if gauges.read((source,)) is not None]
    if not told or not isinstance(told[0], Level):
        return 1
    gauge = gauges.gauge(told[0].plus[0].key)
    if gauge is None:
        return 1
    apart = {
        tuple(pair for pair in labels if pair[0] in table.rank_labels) for labels in gauge.samples
    }
    return max(1, len(apart))
