"""Why one layout beats another, part by part, and what would turn the verdict."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from ..cost.estimate import Estimate
from ..search.search import SearchResult, search
from .break_even import BreakEven, break_evens
from .memory import MEMORY_PARTS
from .step import STEP_PARTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One part of two layouts, in seconds or bytes. Above zero speaks for the winner."""

    field: str
    name: str
    winner: float
    runner_up: float

    @property
    def difference(self) -> float:
        """The runner-up's part beyond the winner's."""
        return self.runner_up - self.winner


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Two layouts compared; the parts that differ most stand first, parts that do not are left out.

    break_evens: what would make the runner-up win, found within a factor of 64 of each knob; empty
    where nothing there does.
    """

    winner: Estimate
    runner_up: Estimate
    time: tuple[Difference, ...]
    memory: tuple[Difference, ...]
    break_evens: tuple[BreakEven, ...]


def verdict(winner: Estimate, runner_up: Estimate, limit_bytes: float) -> Verdict:
    """Compare two estimates of the same setting and batch under a memory limit."""
    return Verdict(
        winner=winner,
        runner_up=runner_up,
        time=_differences(STEP_PARTS, winner.time, runner_up.time),
        memory=_differences(MEMORY_PARTS, winner.memory, runner_up.memory),
        break_evens=break_evens(winner, runner_up, limit_bytes),
    )


def verdict_of(result: SearchResult) -> Verdict | None:
    """The winner of a search against its runner-up; `None` where there are not two layouts."""
    if result.winner is None or result.runner_up is None:
        return None
    return verdict(result.winner, result.runner_up, result.limit_bytes)


def with_more_memory(
    result: SearchResult, *, factor: float = 4.0, gain: float = 0.01
) -> Estimate | None:
    """The leanest layout beyond the limit that is faster than all within by the share `gain`.

    Searches again, with up to `factor` times the memory; `None` where that brings nothing.
    """
    wider = replace(result.constraints, memory_bytes=result.limit_bytes * factor, keep=1)
    most_s = result.winner.step_s * (1 - gain) if result.winner else math.inf
    return next((one for one in search(result.setting, wider).front if one.step_s <= most_s), None)


def _differences(
    names: Mapping[str, str], winner: object, runner_up: object
) -> tuple[Difference, ...]:
    every = [
        Difference(
            field=field,
            name=name,
            winner=getattr(winner, field),
            runner_up=getattr(runner_up, field),
        )
        for field, name in names.items()
    ]
    apart = [one for one in every if one.difference]
    return tuple(sorted(apart, key=lambda one: -abs(one.difference)))
