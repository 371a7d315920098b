"""At which memory limit, bandwidth or batch a slower layout would beat a faster one.

Every turning point is found by estimating both layouts again at other values, never by a rule.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
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


@dataclass(frozen=True, slots=True)
class _Steps:
    """Seconds of both layouts; infinite where one does not fit."""

    winner_s: float
    runner_up_s: float

    @property
    def turned(self) -> bool:
        return self.runner_up_s < self.winner_s


def turns(winner: Estimate, runner_up: Estimate, limit_bytes: float) -> tuple[Turn, ...]:
    """The nearest turning points of each knob, below and above, within a factor of 64."""
    cluster = winner.setting.cluster
    knobs: list[Knob] = []
    if cluster.nodes > 1:
        knobs.append("network")
    if cluster.node_gpus > 1 and cluster.gpus > 1:
        knobs.append("link")
    found = _memory_turn(winner, runner_up, limit_bytes)
    for knob in knobs:
        found += _bandwidth_turns(knob, winner, runner_up)
    return (*found, *_batch_turns(winner, runner_up, limit_bytes))


def _memory_turn(winner: Estimate, runner_up: Estimate, limit_bytes: float) -> list[Turn]:
    if runner_up.memory.total >= winner.memory.total:
        return []
    turn = Turn(
        knob="memory",
        now=limit_bytes,
        value=winner.memory.total,
        winner_s=None,
        runner_up_s=runner_up.step_s,
    )
    return [turn]


def _bandwidth_turns(knob: Knob, winner: Estimate, runner_up: Estimate) -> list[Turn]:
    gpu = winner.setting.cluster.gpu
    now = gpu.network_bytes_s if knob == "network" else gpu.link_bytes_s

    def steps(factor: float) -> _Steps:
        where = _with_bandwidth(winner.setting, knob, now * factor)
        first, second = (
            estimate(where, one.layout, checked=False).step_s for one in (winner, runner_up)
        )
        return _Steps(first, second)

    found = []
    for direction in (-1, 1):
        factor = _nearest_turn(lambda factor: steps(factor).turned, direction)
        if factor is not None:
            found.append(_turn(knob, now, now * factor, steps(factor)))
    return found


def _with_bandwidth(setting: Setting, knob: Knob, value: float) -> Setting:
    gpu = setting.cluster.gpu
    if knob == "network":
        changed = replace(gpu, network_bytes_s=value)
    else:
        changed = replace(gpu, link_bytes_s=value)
    return replace(setting, cluster=replace(setting.cluster, gpu=changed))


def _nearest_turn(turned: Callable[[float], bool], direction: int) -> float | None:
    """The factor nearest to 1 on one side at which the verdict is seen to turn."""
    before = 1.0
    for step in range(1, WIDEST + 1):
        factor = 2.0 ** (direction * step)
        if not turned(factor):
            before = factor
            continue
        for _ in range(_BISECTIONS):
            middle = math.sqrt(before * factor)
            before, factor = (before, middle) if turned(middle) else (middle, factor)
        return factor
    return None


def _batch_turns(winner: Estimate, runner_up: Estimate, limit_bytes: float) -> list[Turn]:
    """Batches that both layouts can deal out, so that only time or memory decides."""
    now = runner_up.layout.batch
    unit = math.lcm(_round_of(winner.layout), _round_of(runner_up.layout))

    def steps(batch: int) -> _Steps:
        first, second = (_step_with_batch(one, batch, limit_bytes) for one in (winner, runner_up))
        return _Steps(first, second)

    found = []
    for direction in (-1, 1):
        batch = _nearest_batch(lambda batch: steps(batch).turned, now, unit, direction)
        if batch is not None:
            found.append(_turn("batch", now, batch, steps(batch)))
    return found


def _nearest_batch(
    turned: Callable[[int], bool], now: int, unit: int, direction: int
) -> int | None:
    """As `_nearest_turn`, over multiples of `unit` as near to powers of two as they come."""
    before = now
    for step in range(1, WIDEST + 1):
        wanted = now * 2.0 ** (direction * step)
        batch = max(1, round(wanted / unit)) * unit
        if batch == before or batch > MOST_SEQUENCES:
            return None
        if not turned(batch):
            before = batch
            continue
        while abs(batch - before) > unit:
            middle = (before + batch) // 2 // unit * unit
            if middle in (before, batch):
                break
            before, batch = (before, middle) if turned(middle) else (middle, batch)
        return batch
    return None


def _round_of(layout: Layout) -> int:
    """Sequences that the batch must be a multiple of."""
    rounds = layout.pp if layout.vp > 1 else 1
    return layout.dp * layout.micro_batch * rounds


def _step_with_batch(one: Estimate, batch: int, limit_bytes: float) -> float:
    """Seconds of a step of `batch` sequences; infinite where the layout does not fit."""
    micro_batches = batch // (one.layout.dp * one.layout.micro_batch)
    layout = replace(one.layout, micro_batches=micro_batches)
    found = estimate(one.setting, layout, checked=False)
    return found.step_s if found.memory.total <= limit_bytes else math.inf


def _turn(knob: Knob, now: float, value: float, steps: _Steps) -> Turn:
    return Turn(
        knob=knob,
        now=now,
        value=value,
        winner_s=steps.winner_s if math.isfinite(steps.winner_s) else None,
        runner_up_s=steps.runner_up_s,
    )
