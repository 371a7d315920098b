"""The layouts that a search keeps: the fastest few, the fastest of each split, the Pareto front."""

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field

from ..cost.estimate import Estimate
from .legal import Split


@dataclass
class Front:
    """Estimates that no other one beats in both memory and time, leanest first."""

    memory: list[float] = field(default_factory=list)
    time: list[float] = field(default_factory=list)
    estimates: list[Estimate] = field(default_factory=list)

    def beats(self, memory_bytes: float, step_s: float) -> bool:
        """Whether some layout takes no more memory and no longer."""
        place = bisect_right(self.memory, memory_bytes)
        # Times fall along the front: the last one that is lean enough is the fastest.
        return place > 0 and self.time[place - 1] <= step_s

    def add(self, found: Estimate, memory_bytes: float, step_s: float) -> None:
        """Keep `found` if nothing beats it, and drop what it beats."""
        if self.beats(memory_bytes, step_s):
            return
        start = bisect_left(self.memory, memory_bytes)
        end = start
        while end < len(self.time) and self.time[end] >= step_s:
            end += 1
        self.memory[start:end] = [memory_bytes]
        self.time[start:end] = [step_s]
        self.estimates[start:end] = [found]


@dataclass
class Found:
    """What a search has found so far among the layouts that fit."""

    keep: int
    front: Front = field(default_factory=Front)
    best: list[Estimate] = field(default_factory=list)
    of_split: dict[Split, Estimate] = field(default_factory=dict)
    _bests: list[float] = field(default_factory=list)
    _splits: list[float] = field(default_factory=list)

    def add(self, found: Estimate, split: Split) -> None:
        """Take note of a layout that fits."""
        memory_bytes, step_s = found.memory.total, found.step_s
        self.front.add(found, memory_bytes, step_s)
        if len(self._bests) < self.keep or step_s < self._bests[-1]:
            place = bisect_right(self._bests, step_s)
            self._bests.insert(place, step_s)
            self.best.insert(place, found)
            del self._bests[self.keep :], self.best[self.keep :]
        before = self.of_split.get(split)
        if before is None or step_s < before.step_s:
            if before is not None:
                self._splits.remove(before.step_s)
            self.of_split[split] = found
            self._splits.insert(bisect_left(self._splits, step_s), step_s)

    def cannot_win(self, split: Split, memory_bytes: float, step_s: float) -> bool:
        """Whether layouts of `split` that take at least this much change nothing any more."""
        if len(self._bests) < self.keep or step_s < self._bests[-1]:
            return False
        own = self.of_split.get(split)
        hopeless = len(self._splits) >= self.keep and step_s >= self._splits[self.keep - 1]
        if not hopeless and (own is None or step_s < own.step_s):
            return False
        return self.front.beats(memory_bytes, step_s)

    def splits(self) -> tuple[Estimate, ...]:
        """The fastest layout of each of the fastest splits, best first."""
        ordered = sorted(self.of_split.values(), key=lambda one: one.step_s)
        return tuple(ordered[: self.keep])
