"""The searches behind a comparison: every strategy on every cluster, three models, all GPUs."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from ...shape.field_errors import FieldError
from ...shape.presets import preset
from ..cost.calibration import Calibration
from ..cost.estimate import Estimate
from ..cost.hardware import Gpu, cluster
from ..cost.setting import Setting
from ..search.constraints import Constraints
from ..search.search import search
from ..search.strategies import STRATEGIES, STRATEGY_KEYS, StrategyKey, best_of, narrow
from .score import Rated

CLUSTERS = (1, 8, 16, 32, 64)
"""GPUs of the clusters, unless others are asked for."""
SCENARIOS = ("generic-1b", "generic-7b", "generic-70b")
SCENARIO_GPUS = 32
TOKENS_PER_PARAMETER = 20
"""To train on unless it is said (Hoffmann et al. 2022)."""
_NO_LIMIT = 1e15
_NEARLY = 1.02
"""So much longer a step may take that needs less memory."""


@dataclass(frozen=True)
class Scenario:
    """One model on `SCENARIO_GPUS` GPUs; both rankings hold the strategies that fit, best first."""

    model: str
    rated: tuple[Rated, ...]

    @property
    def by_score(self) -> tuple[Rated, ...]:
        """The highest score first."""
        return tuple(sorted(self._fitting, key=lambda one: -(one.score or 0)))

    @property
    def by_time(self) -> tuple[Rated, ...]:
        """The fastest first."""
        return tuple(sorted(self._fitting, key=lambda one: -(one.speedup or 0)))

    @property
    def _fitting(self) -> Iterable[Rated]:
        return (one for one in self.rated if one.fits)


@dataclass(frozen=True)
class Selected:
    """A GPU type at its fastest layout that fits, or else its leanest, and then why not."""

    gpu: Gpu
    estimate: Estimate | None
    fits: bool
    reason: str | None


@dataclass(frozen=True)
class Comparison:
    """All that `compare` found. `tokens`: what the GPU types' training times are for."""

    setting: Setting
    constraints: Constraints
    clusters: tuple[int, ...]
    rated: tuple[Rated, ...]
    scenarios: tuple[Scenario, ...]
    selected: tuple[Selected, ...]
    tokens: float


def compare(
    setting: Setting,
    constraints: Constraints,
    gpu_types: Iterable[Gpu],
    *,
    clusters: Sequence[int] = CLUSTERS,
    tokens: float | None = None,
    calibrations: Mapping[str, Calibration] | None = None,
) -> Comparison:
    """Compare strategies on `clusters`, scenarios, and GPU types at the setting's cluster.

    The batch is the same on every cluster (strong scaling). calibrations: by GPU key.

    Raises:
        FieldError: as `search` does: what is wrong with all of them alike.
    """
    kept = replace(constraints, keep=1)
    where = cluster(setting.cluster.gpu, SCENARIO_GPUS)
    models = [(name, replace(setting, model=preset(name), cluster=where)) for name in SCENARIOS]
    found = (_select(setting, kept, gpu, (calibrations or {}).get(gpu.key)) for gpu in gpu_types)
    return Comparison(
        setting=setting,
        constraints=constraints,
        clusters=tuple(clusters),
        rated=_rate(setting, kept, clusters),
        scenarios=tuple(
            Scenario(name, _rate(each, kept, [SCENARIO_GPUS])) for name, each in models
        ),
        selected=tuple(
            sorted(found, key=lambda one: (not one.fits, one.estimate is None, _step_s(one)))
        ),
        tokens=tokens or TOKENS_PER_PARAMETER * setting.model.active_parameters,
    )


def _step_s(one: Selected) -> float:
    return math.inf if one.estimate is None else one.estimate.step_s


def _rate(setting: Setting, constraints: Constraints, clusters: Sequence[int]) -> tuple[Rated, ...]:
    """Every strategy on every cluster. On one GPU there is nothing to split: all are the same."""
    single = _on(setting, 1)
    alone = search(single, narrow("data", _open(constraints)))
    one_gpu = alone.winner or _with_more_memory(single, constraints)

    def rated(key: StrategyKey, gpus: int) -> Rated:
        if gpus == 1:
            reason = None if alone.limiting is None else alone.limiting.reason
            return Rated(STRATEGIES[key], 1, one_gpu, bool(alone.best), reason, one_gpu)
        result = best_of(key, _on(setting, gpus), constraints)
        reason = None if result.limiting is None else result.limiting.reason
        found = result.best or result.leanest
        return Rated(STRATEGIES[key], gpus, found, result.best is not None, reason, one_gpu)

    return tuple(rated(key, gpus) for key in STRATEGY_KEYS for gpus in clusters)


def _with_more_memory(single: Setting, constraints: Constraints) -> Estimate:
    """One GPU as if it had memory enough: the leanest layout that is nearly as fast as any."""
    free = replace(_open(constraints), memory_bytes=_NO_LIMIT)
    result = search(single, narrow("data", free))
    if result.winner is None:
        reason = "no layout is legal" if result.limiting is None else result.limiting.reason
        raise FieldError("model", f"one GPU: {reason}")
    most_s = result.winner.step_s * _NEARLY
    return next(one for one in result.front if one.step_s <= most_s)


def _on(setting: Setting, gpus: int) -> Setting:
    return replace(setting, cluster=replace(setting.cluster, gpus=gpus))


def _open(constraints: Constraints) -> Constraints:
    """Without degrees that were fixed for a larger cluster."""
    split = replace(constraints, dp=None, tp=None, pp=None, vp=None, cp=None, ep=None)
    return replace(split, dp_shard=None, expert_tp=1, schedule=None)


def _select(
    setting: Setting, constraints: Constraints, gpu: Gpu, calibration: Calibration | None
) -> Selected:
    """The fastest layout on as many GPUs of another type, in that type's usual nodes."""
    where = cluster(gpu, setting.cluster.gpus)
    own = gpu.key == setting.cluster.gpu.key
    asked = setting if own else replace(setting, cluster=where, calibration=calibration)
    # A limit that was asked for is no reason to take more than another type has.
    room = constraints.limit_bytes(gpu.memory_bytes)
    within = replace(constraints, memory_bytes=room if own else min(room, gpu.memory_bytes))
    try:
        result = search(asked, within)
    except FieldError as error:
        return Selected(gpu, None, fits=False, reason=error.reason)
    reason = None if result.limiting is None else result.limiting.reason
    return Selected(gpu, result.winner or result.leanest, result.winner is not None, reason)
