"""Break-even analysis: at which memory limit, bandwidth or batch a slower layout wins.

Every break-even point is found by estimating both layouts again at other values, never by a rule.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from ..cost.estimate import Estimate, estimate
from ..cost.layout import Layout
from ..cost.setting import Setting
from ..search.constraints import MOST_SEQUENCES

Knob = Literal["memory", "network", "link", "batch"]

WIDEST = 6
"""Doublings and halvings of a knob that are tried."""
_BISECTIONS = 12
"""Of the doubling in which a layout turns out ahead: bandwidths are then known to 0.02 %."""

_Steps = tuple[float, float]
"""Seconds of the winner and of the runner-up; infinite where one does not fit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakEven:
    """The runner-up wins with `knob` at `value` instead of `now`; both steps there.

    memory: the limit per GPU in bytes; below `value` the winner does not fit and the runner-up
    does. network, link: bytes per second and GPU. batch: sequences, both layouts with other numbers
    of micro-batches. `winner_s` is `None` where the winner does not fit.
    """

    knob: Knob
    now: float
    value: float
    winner_s: float | None
    runner_up_s: float


def break_evens(winner: Estimate, runner_up: Estimate, limit_bytes: float) -> tuple[BreakEven, ...]:
    """The nearest break-even points of each knob, below and above, within a factor of 64."""
    cluster = winner.setting.cluster
    points: list[BreakEven] = []
    if runner_up.memory.total < winner.memory.total:
        steps = (math.inf, runner_up.step_s)
        points.append(_break_even("memory", limit_bytes, winner.memory.total, steps))
    if cluster.nodes > 1:
        points += _bandwidths("network", winner, runner_up)
    if cluster.node_gpus > 1 and cluster.gpus > 1:
        points += _bandwidths("link", winner, runner_up)
    return (*points, *_batches(winner, runner_up, limit_bytes))


def _break_even(knob: Knob, now: float, value: float, steps: _Steps) -> BreakEven:
    winner_s, runner_up_s = steps
    return BreakEven(
        knob=knob,
        now=now,
        value=value,
        winner_s=winner_s if math.isfinite(winner_s) else None,
        runner_up_s=runner_up_s,
    )


def _runner_up_wins(steps: _Steps) -> bool:
    winner_s, runner_up_s = steps
    return runner_up_s < winner_s


def _bandwidths(
    knob: Literal["network", "link"], winner: Estimate, runner_up: Estimate
) -> list[BreakEven]:
    gpu = winner.setting.cluster.gpu
    now = gpu.network_bytes_s if knob == "network" else gpu.link_bytes_s

    def steps(factor: float) -> _Steps:
        setting = _with_bandwidth(winner.setting, knob, now * factor)
        first, second = (
            estimate(setting, one.layout, checked=False).step_s for one in (winner, runner_up)
        )
        return first, second

    factors = (
        _nearest_factor(lambda factor: _runner_up_wins(steps(factor)), direction)
        for direction in (-1, 1)
    )
    return [
        _break_even(knob, now, now * factor, steps(factor))
        for factor in factors
        if factor is not None
    ]


def _with_bandwidth(setting: Setting, knob: str, value: float) -> Setting:
    gpu = setting.cluster.gpu
    if knob == "network":
        changed = replace(gpu, network_bytes_s=value)
    else:
        changed = replace(gpu, link_bytes_s=value)
    return replace(setting, cluster=replace(setting.cluster, gpu=changed))


def _nearest_factor(runner_up_wins: Callable[[float], bool], direction: int) -> float | None:
    """The factor nearest to 1 on one side at which the runner-up is seen to win."""
    before = 1.0
    for step in range(1, WIDEST + 1):
        factor = 2.0 ** (direction * step)
        if not runner_up_wins(factor):
            before = factor
            continue
        for _ in range(_BISECTIONS):
            middle = math.sqrt(before * factor)
            before, factor = (before, middle) if runner_up_wins(middle) else (middle, factor)
        return factor
    return None


def _batches(winner: Estimate, runner_up: Estimate, limit_bytes: float) -> list[BreakEven]:
    """Batches that both layouts can deal out, so that only time or memory decides."""
    now = runner_up.layout.batch
    unit = math.lcm(_sequences_per_round(winner.layout), _sequences_per_round(runner_up.layout))

    def steps(batch: int) -> _Steps:
        first, second = (_step_with_batch(one, batch, limit_bytes) for one in (winner, runner_up))
        return first, second

    batches = (
        _nearest_batch(lambda batch: _runner_up_wins(steps(batch)), now, unit, direction)
        for direction in (-1, 1)
    )
    return [
        _break_even("batch", now, batch, steps(batch)) for batch in batches if batch is not None
    ]


def _nearest_batch(
    runner_up_wins: Callable[[int], bool], now: int, unit: int, direction: int
) -> int | None:
    """As `_nearest_factor`, over multiples of `unit` as near to powers of two as they come."""
    before = now
    for step in range(1, WIDEST + 1):
        wanted = now * 2.0 ** (direction * step)
        batch = max(1, round(wanted / unit)) * unit
        if batch == before or batch > MOST_SEQUENCES:
            return None
        if not runner_up_wins(batch):
            before = batch
            continue
        while abs(batch - before) > unit:
            middle = (before + batch) // 2 // unit * unit
            if middle in (before, batch):
                break
            before, batch = (before, middle) if runner_up_wins(middle) else (middle, batch)
        return batch
    return None


def _sequences_per_round(layout: Layout) -> int:
    """Sequences that the batch must be a multiple of."""
    rounds = layout.pp if layout.vp > 1 else 1
    return layout.dp * layout.micro_batch * rounds


def _step_with_batch(one: Estimate, batch: int, limit_bytes: float) -> float:
    """Seconds of a step of `batch` sequences; infinite where the layout does not fit."""
    micro_batches = batch // (one.layout.dp * one.layout.micro_batch)
    layout = replace(one.layout, micro_batches=micro_batches)
    changed = estimate(one.setting, layout, checked=False)
    return changed.step_s if changed.memory.total <= limit_bytes else math.inf
