"""How latencies were distributed over time, as the counts of successive frames tell.

Bounded: half a second a cell for ten minutes, ten seconds a cell for a day before that.
"""

import math
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ...engine.protocol import LATENCY_EDGES_MS, LatencyCounts

FINE_S, FINE_CELLS = 0.5, 1200
COARSE_S, COARSE_CELLS = 10.0, 8640

METRICS = ("ttft", "tpot", "e2e")

Steps = dict[int, int]
"""How many requests by step: step i lies between edges i − 1 and i of `LATENCY_EDGES_MS`."""


@dataclass(frozen=True, slots=True)
class Cell:
    """What ended in a short time from `start_s` on, by metric."""

    start_s: float
    counts: Mapping[str, Steps] = field(default_factory=lambda: {name: {} for name in METRICS})

    def add(self, counts: Mapping[str, Steps]) -> None:
        for name, steps in counts.items():
            mine = self.counts[name]
            for step, number in steps.items():
                mine[step] = mine.get(step, 0) + number


class LatencyHistory:
    """A bounded memory of distributions. Times are those of the history, and ascend."""

    def __init__(self) -> None:
        self._last: LatencyCounts | None = None
        self._fine: deque[Cell] = deque()
        self._coarse: deque[Cell] = deque(maxlen=COARSE_CELLS)
        self.changes = 0
        """How often something was added: what was drawn before the same number is as it was."""

    def add(self, wall_s: float, counts: LatencyCounts) -> None:
        """A frame's counts since the session began: what they have more than the last ones ended
        since then. Counts that went down are those of another worker, which began anew. When those
        of the first frame ended is not known."""
        last, self._last = self._last, counts
        grown = {} if last is None else _growth(counts, last)
        if not any(grown.values()):
            return
        self.changes += 1
        start_s = math.floor(wall_s / FINE_S) * FINE_S
        if not self._fine or self._fine[-1].start_s != start_s:
            self._fine.append(Cell(start_s))
        self._fine[-1].add(grown)
        while self._fine[0].start_s <= start_s - FINE_S * FINE_CELLS:
            self._thin(self._fine.popleft())

    def cells(self, metric: str, start_s: float, end_s: float) -> Iterator[tuple[float, Steps]]:
        """The times in a span at which something ended, oldest first, and the counts."""
        for width_s, tier in ((COARSE_S, self._coarse), (FINE_S, self._fine)):
            for cell in tier:
                if cell.start_s + width_s > start_s and cell.start_s <= end_s:
                    yield cell.start_s, cell.counts[metric]

    def tiers(self, start_s: float, end_s: float) -> tuple[list[Cell], list[Cell]]:
        """The fine and the coarse cells in a span, oldest first."""
        fine, coarse = (
            [cell for cell in tier if cell.start_s + width_s > start_s and cell.start_s <= end_s]
            for width_s, tier in ((FINE_S, self._fine), (COARSE_S, self._coarse))
        )
        return fine, coarse

    def recall(self, fine: Sequence[Cell], coarse: Sequence[Cell]) -> None:
        """Remember cells of long ago, before anything else was remembered."""
        self._fine.extend(fine)
        self._coarse.extend(coarse)
        self.changes += 1

    def over(self, metric: str, start_s: float, end_s: float) -> list[int]:
        """The distribution over a span: a count for each step."""
        whole = [0] * (len(LATENCY_EDGES_MS) + 1)
        for _, steps in self.cells(metric, start_s, end_s):
            for step, number in steps.items():
                whole[step] += number
        return whole

    def _thin(self, cell: Cell) -> None:
        start_s = math.floor(cell.start_s / COARSE_S) * COARSE_S
        if not self._coarse or self._coarse[-1].start_s != start_s:
            self._coarse.append(Cell(start_s))
        self._coarse[-1].add(cell.counts)


def _growth(counts: LatencyCounts, last: LatencyCounts) -> dict[str, Steps]:
    now = {name: steps_of(counts, name) for name in METRICS}
    before = {name: steps_of(last, name) for name in METRICS}
    # Most of them are as they were: whole lists are compared at once.
    grown = {
        name: [
            (step, new, old)
            for step, (new, old) in enumerate(zip(now[name], before[name], strict=True))
            if new != old
        ]
        if now[name] != before[name]
        else []
        for name in METRICS
    }
    if any(new < old for each in grown.values() for _, new, old in each):
        return {name: {step: new for step, new in enumerate(now[name]) if new} for name in METRICS}
    return {name: {step: new - old for step, new, old in grown[name]} for name in METRICS}


def steps_of(counts: LatencyCounts, metric: str) -> list[int]:
    """A metric's counts, as many as there are steps whatever was sent."""
    told: list[int] = getattr(counts, metric)
    size = len(LATENCY_EDGES_MS) + 1
    if len(told) == size:
        return told
    return [*told[:size], *[0] * (size - len(told))]
