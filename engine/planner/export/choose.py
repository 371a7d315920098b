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

KEPT = 100
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
    found = sorted((one for result in results for one in result.best), key=lambda one: one.step_s)
    if not found:
        limiting = next(result.limiting for result in results)
        if limiting is None:
            raise FieldError("memory", "no layout fits")
        raise FieldError(limiting.field, limiting.reason)
    refused: InexpressibleError | None = None
    for estimate in found:
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
    kept = replace(constraints, keep=KEPT)
    plain = replace(kept, sequence_parallel=bool(kept.sequence_parallel))
    match engine:
        case "megatron":
            return (kept,)
        case "deepspeed":
            return (_narrowed(plain, pp=1, cp=1, dp_shard=0),)
        case "accelerate":
            return tuple(_narrowed(plain, pp=1, ep=1, zero=stage) for stage in (3, 2))
        case _:
            stages = tuple(_narrowed(kept, zero=stage) for stage in (3, 0))
            return (*stages, _narrowed(kept, zero=3, pp=1, cp=1))


def _narrowed(
    constraints: Constraints,
    *,
    zero: int | None = None,
    pp: int | None = None,
    cp: int | None = None,
    ep: int | None = None,
    dp_shard: int | None = None,
) -> Constraints:
    """`constraints` with these values for what is left open."""

    def asked(value: int | None, narrow: int | None) -> int | None:
        return narrow if value is None else value

    return replace(
        constraints,
        zero=asked(constraints.zero, zero),
        pp=asked(constraints.pp, pp),
        cp=asked(constraints.cp, cp),
        ep=asked(constraints.ep, ep),
        dp_shard=asked(constraints.dp_shard, dp_shard),
    )
