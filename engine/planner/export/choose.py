"""The fastest layout that an engine can express: a search in the engine's terms."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from ...shape.field_errors import FieldError
from ..cost.estimate import Estimate
from ..cost.setting import Setting
from ..search.constraints import Constraints
from ..search.search import search
from .contract import Export, InexpressibleError, TrainingRun
from .engines import export

TRIED = 100
"""Layouts of each search that are tried, fastest first."""

SOFTWARE: Mapping[str, str] = {
    "torchtitan": "torch",
    "torchtitan-main": "torch",
    "torchtitan-0.2.2": "torch",
    "megatron": "megatron-core",
    "deepspeed": "deepspeed",
    "accelerate": "torch",
}
"""The profile of `calibration.toml` that is nearest to each engine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """An export and the estimate of its layout."""

    estimate: Estimate
    export: Export


def fastest_export(
    engine: str, setting: Setting, constraints: Constraints, run: TrainingRun
) -> Chosen:
    """The fastest layout under `constraints` that fits and that `engine` can express.

    Raises:
        FieldError: no layout fits, or the cluster or precision cannot be searched.
        InexpressibleError: some fit and the engine can express none; says why for the fastest.
    """
    results = [search(setting, each) for each in in_terms_of(engine, constraints)]
    fitting = [estimate for result in results for estimate in result.best]
    if not fitting:
        limiting = next(result.limiting for result in results)
        if limiting is None:
            raise FieldError("memory", "no layout fits")
        raise FieldError(limiting.field, limiting.reason)
    refused: InexpressibleError | None = None
    for estimate in sorted(fitting, key=lambda estimate: estimate.step_s):
        try:
            text = export(engine, setting, estimate.layout, run)
        except InexpressibleError as refusal:
            refused = refused or refusal
        else:
            return Chosen(estimate=estimate, export=text)
    assert refused is not None
    raise refused


def in_terms_of(engine: str, constraints: Constraints) -> tuple[Constraints, ...]:
    """The searches in which `engine`'s layouts come first: what is left open is narrowed.

    What was asked for stays, also where the engine will refuse it.
    """
    tried = replace(constraints, keep=TRIED)
    plain = replace(
        tried, sequence_parallel=bool(constraints.sequence_parallel), pp=constraints.pp or 1
    )
    match engine:
        case "megatron":
            return (tried,)
        case "deepspeed":
            return (replace(plain, cp=plain.cp or 1, dp_shard=plain.dp_shard or 0),)
        case "accelerate":
            return tuple(_at_stage(replace(plain, ep=plain.ep or 1), stage) for stage in (3, 2))
        case _:
            sharded, kept, replicated = (_at_stage(tried, stage) for stage in (3, 2, 0))
            return (sharded, kept, replicated, replace(sharded, pp=tried.pp or 1, cp=tried.cp or 1))


def _at_stage(constraints: Constraints, zero: int) -> Constraints:
    """With this ZeRO stage, where it is left open."""
    return constraints if constraints.zero is not None else replace(constraints, zero=zero)
