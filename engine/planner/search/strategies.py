"""The best layout of each textbook strategy, so that they can be laid side by side.

A strategy splits the model one way (or, in 3D, every way) and fills the rest of the cluster with
replicas. Context parallelism stays out unless it is fixed; ZeRO, micro-batch and recomputation are
searched for each, so that every strategy is shown at its best.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import Literal, get_args

import msgspec

from ...files.toml_text import parse_toml
from ...shape.field_errors import FieldError
from ..cost.estimate import Estimate
from ..cost.setting import Setting
from .constraints import Constraints
from .search import Limiting, SearchResult, search

LARGEST = 2**16
"""GPUs up to which is looked; the largest clusters that are built have about as many."""


def first_that_fits(setting: Setting, constraints: Constraints) -> SearchResult | None:
    """The search on the smallest larger cluster that fits the model, in powers of two.

    The batch and all that is fixed stay as they are; `None` where nothing fits up to `LARGEST`.
    """
    gpus = 1 << setting.cluster.gpus.bit_length()
    while gpus <= LARGEST:
        larger = replace(setting, cluster=replace(setting.cluster, gpus=gpus))
        result = search(larger, constraints)
        if result.best:
            return result
        gpus *= 2
    return None


StrategyKey = Literal["data", "model", "pipeline", "tensor", "3d"]
STRATEGY_KEYS: tuple[StrategyKey, ...] = get_args(StrategyKey)


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategy:
    """A way to split training, as textbooks tell them apart, and what is said of it in general."""

    key: StrategyKey
    name: str
    splits: str
    memory_efficiency: str
    communication: str
    complexity: str
    good_for: str


STRATEGIES: Mapping[StrategyKey, Strategy] = {
    strategy.key: strategy
    for strategy in msgspec.convert(
        parse_toml(files(__package__).joinpath("strategies.toml").read_text(encoding="utf-8")),
        type=dict[str, tuple[Strategy, ...]],
    )["strategy"]
}
"""In the order of a table. The words are general; the numbers are a search's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategyResult:
    """The search of one strategy: its fastest layout that fits, or why there is none.

    best: fits. leanest: needs the least memory of the strategy, whether it fits or not. Both are
    `None` where the cluster, or what is fixed, leaves the strategy no legal layout. result: the
    whole search, `None` where a fixed value contradicts the strategy.
    """

    strategy: Strategy
    best: Estimate | None
    leanest: Estimate | None
    limiting: Limiting | None
    result: SearchResult | None


def best_of_strategies(setting: Setting, constraints: Constraints) -> tuple[StrategyResult, ...]:
    """Each of the five strategies at its best under `constraints`, in the order of a table.

    Raises:
        FieldError: as `search` does: what is wrong with all strategies alike.
    """
    return tuple(best_of(key, setting, constraints) for key in STRATEGY_KEYS)


def best_of(key: StrategyKey, setting: Setting, constraints: Constraints) -> StrategyResult:
    """One strategy at its best."""
    strategy = STRATEGIES[key]
    try:
        narrowed = narrow(key, constraints)
    except FieldError as error:
        contradiction = Limiting(field=error.field, reason=error.reason)
        return StrategyResult(
            strategy=strategy, best=None, leanest=None, limiting=contradiction, result=None
        )
    result = search(setting, narrowed)
    return StrategyResult(
        strategy=strategy,
        best=result.winner,
        leanest=result.leanest,
        limiting=result.limiting,
        result=result,
    )


def narrow(key: StrategyKey, constraints: Constraints) -> Constraints:
    """The constraints of a strategy's search.

    Raises:
        FieldError: a fixed degree or schedule is not the strategy's.
    """
    cp = 1 if constraints.cp is None else constraints.cp
    given = replace(constraints, cp=cp)
    match key:
        case "data":
            return replace(given, tp=_only("tp", given.tp), pp=_only("pp", given.pp))
        case "model":
            if given.schedule not in (None, "sequential"):
                raise FieldError("schedule", f"{given.schedule} is fixed, not sequential")
            piped = replace(given, tp=_only("tp", given.tp), schedule="sequential")
            return replace(piped, least_pp=_several("pp", given.pp, given.least_pp))
        case "pipeline":
            _micro_batched(given)
            piped = replace(given, tp=_only("tp", given.tp))
            return replace(piped, least_pp=_several("pp", given.pp, given.least_pp))
        case "tensor":
            split = replace(given, pp=_only("pp", given.pp))
            return replace(split, least_tp=_several("tp", given.tp, given.least_tp))
        case "3d":
            _micro_batched(given)
            return replace(
                given,
                least_dp=_several("dp", given.dp, given.least_dp),
                least_tp=_several("tp", given.tp, given.least_tp),
                least_pp=_several("pp", given.pp, given.least_pp),
            )


def _several(name: str, fixed: int | None, least: int) -> int:
    """The smallest degree of a kind that the strategy needs."""
    if fixed == 1:
        raise FieldError(name, f"{name} is fixed at 1, but this strategy splits that way")
    return max(2, least)


def _only(name: str, fixed: int | None) -> int:
    """The degree 1 of a kind that the strategy does without."""
    if fixed not in (None, 1):
        raise FieldError(name, f"{name} is fixed at {fixed}, but this strategy has none")
    return 1


def _micro_batched(constraints: Constraints) -> None:
    if constraints.schedule == "sequential":
        raise FieldError("schedule", "sequential is fixed, but this strategy has micro-batches")
