"""The best layouts for a cluster and a global batch, and the front of memory and time.

Every legal layout is considered; those that provably change nothing are not estimated (`bounds`).
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field

from ..cost.estimate import Estimate, estimate
from ..cost.memory import GIB, memory
from ..cost.schedule import step_time
from ..cost.setting import Setting
from .bounds import (
    ROUNDING,
    SplitBounds,
    StatesFloor,
    bound_splits,
    states_floor,
    without_states,
)
from .constraints import Constraints
from .legal import Refusals, Sharding, Split, build, legal_splits


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Limiting:
    """Why there is no layout: the field that stands in the way, and the reason in one line."""

    field: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult:
    """What a search found, as estimates.

    best: the fastest layouts that fit, best first. splits: the fastest layout of each (dp, tp, pp,
        cp, ep), best first. front: layouts that fit and that none beats in both memory and time,
        leanest first, so that the last is the fastest.
    leanest: the layout that needs the least memory, whether it fits or not; `None` where no layout
        is legal.
    considered, fitting: legal layouts, and those of them that fit. estimated: those worked out in
        full; the others were shown to change nothing.
    limiting: why `best` is empty, else `None`.
    """

    setting: Setting
    constraints: Constraints
    best: tuple[Estimate, ...]
    splits: tuple[Estimate, ...]
    front: tuple[Estimate, ...]
    leanest: Estimate | None
    considered: int
    fitting: int
    estimated: int
    limiting: Limiting | None

    @property
    def limit_bytes(self) -> float:
        """The memory limit per GPU that was kept to."""
        return self.constraints.limit_bytes(self.setting.cluster.gpu.memory_bytes)

    @property
    def winner(self) -> Estimate | None:
        """The fastest layout that fits."""
        return self.best[0] if self.best else None

    @property
    def runner_up(self) -> Estimate | None:
        """The fastest layout of another split that is slower, else the next best that is."""
        return runner_up_of(self.splits) or runner_up_of(self.best)


EQUAL = 5e-4
"""Layouts closer than this, as a share, are equally good: no figure shows the difference."""


def runner_up_of(estimates: Sequence[Estimate]) -> Estimate | None:
    """The first that is slower than the first of all, by more than `EQUAL`."""
    slower = (one for one in estimates if one.step_s > estimates[0].step_s * (1 + EQUAL))
    return next(slower, None)


def distinct(estimates: Sequence[Estimate]) -> dict[int, int]:
    """The places of those unlike all before them in time or memory: how many later are alike."""
    counts: dict[int, int] = {}
    for place, one in enumerate(estimates):
        first = next((known for known in counts if _alike(one, estimates[known])), None)
        if first is None:
            counts[place] = 0
        else:
            counts[first] += 1
    return counts


def _alike(one: Estimate, other: Estimate) -> bool:
    return math.isclose(one.step_s, other.step_s, rel_tol=EQUAL) and math.isclose(
        one.memory.total, other.memory.total, rel_tol=EQUAL
    )


def search(setting: Setting, constraints: Constraints) -> SearchResult:
    """Search all legal layouts of `setting`'s whole cluster for those that fit and are fastest.

    Where none is legal or none fits, the result is empty and says why (`limiting`).

    Raises:
        FieldError: the GPU lacks the precision, or the cluster is beyond what is searched.
    """
    setting.cluster.gpu.peak_flops(constraints.precision)
    refusals = Refusals()
    splits = legal_splits(setting, constraints, refusals)
    limit = constraints.limit_bytes(setting.cluster.gpu.memory_bytes)
    found = Found(constraints.keep)
    bounds = sorted(
        bound_splits(setting, constraints, splits, limit), key=lambda each: each.least_s
    )
    estimated = sum(_search_split(setting, constraints, each, limit, found) for each in bounds)
    considered = sum(each.layouts for each in bounds)
    leanest = _leanest(setting, constraints, bounds)
    return SearchResult(
        setting=setting,
        constraints=constraints,
        best=tuple(found.best),
        splits=found.splits(),
        front=tuple(found.front.estimates),
        leanest=leanest,
        considered=considered,
        fitting=sum(each.fitting for each in bounds),
        estimated=estimated,
        limiting=None if found.best else _limiting(leanest, limit, refusals),
    )


def _search_split(
    setting: Setting, constraints: Constraints, bounds: SplitBounds, limit: float, found: Found
) -> int:
    """Add what can win of one split to `found`; returns how many layouts were worked out."""
    split, count = bounds.split, 0
    room = limit * (1 + ROUNDING)
    states: dict[Sharding, StatesFloor] = {}
    # From the largest micro-batch down: each that is worked out bounds the smaller ones.
    for sized in sorted(bounds.shapes, key=lambda each: -each.shape.micro_batch):
        shape, least_s = sized.shape, bounds.of(sized.shape)
        for kept in bounds.shardings:
            used = sized.memory_bytes + kept.memory_bytes
            # What cannot win with this much memory cannot with the next sharding's, which is more.
            if used > room or found.cannot_win(split, used, least_s):
                break
            floor = states.get(kept.sharding)
            if floor is not None and found.cannot_win(split, used, least_s + floor.of(shape)):
                continue
            layout = build(setting, constraints, split, kept.sharding, shape)
            time = step_time(setting, layout)
            count += 1
            if floor is None:
                states[kept.sharding] = states_floor(setting, layout, time)
            # The shape's own time without its states bounds what other shardings of it take.
            least_s = max(least_s, without_states(time))
            bounds.tighten(layout, time)
            if not found.cannot_win(split, used, time.total_s):
                taken = memory(setting, layout)
                if taken.total <= limit:
                    found.add(
                        Estimate(setting=setting, layout=layout, memory=taken, time=time), split
                    )
    return count


def _leanest(
    setting: Setting, constraints: Constraints, bounds: list[SplitBounds]
) -> Estimate | None:
    if not bounds:
        return None
    least = min(bounds, key=lambda each: each.leanest[0])
    _, sharding, shape = least.leanest
    layout = build(setting, constraints, least.split, sharding, shape)
    return estimate(setting, layout, checked=False)


def _limiting(leanest: Estimate | None, limit: float, refusals: Refusals) -> Limiting:
    if leanest is not None:
        used = leanest.memory.total / GIB
        words = f"{leanest.layout.shorthand} needs least, {used:,.1f} GiB a GPU"
        return Limiting(field="memory", reason=f"{words}, and the limit is {limit / GIB:,.1f} GiB")
    error = refusals.furthest
    if error is None:
        return Limiting(field="gpus", reason="no layout is legal")
    return Limiting(field=error.field, reason=error.reason)
