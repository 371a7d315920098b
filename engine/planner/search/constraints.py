"""What a search must keep to: the global batch, the memory limit and all degrees that are fixed."""

import math
from dataclasses import dataclass
from typing import get_args

from ...shape.field_errors import FieldError, positive, positive_number
from ..cost.hardware import PRECISIONS, Precision
from ..cost.layout import Offload, Optimizer, Recompute, Schedule

RECOMPUTES: tuple[Recompute, ...] = get_args(Recompute)
SCHEDULES: tuple[Schedule, ...] = get_args(Schedule)
OPTIMIZERS: tuple[Optimizer, ...] = get_args(Optimizer)
OFFLOADS: tuple[Offload, ...] = get_args(Offload)

MOST_GPUS = 2**20
MOST_SEQUENCES = 2**30
"""Of the global batch; beyond, and beyond a million GPUs, a figure is a slip of the pen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraints:
    """Fixed values of a search; a degree or setting that is `None` is searched.

    batch: sequences of the global batch. memory_bytes: the limit per GPU, else all that it has.
    dp_shard: ranks that share one sharded copy; 0 is all of them, fewer is hybrid sharding.
    sequence_parallel: `None` is on wherever tensor parallelism is and the sequence splits.
    recompute_layers: of a stage, that a fixed full recomputation is done in; -1 is all.
    schedule: `None` is 1F1B, interleaved where a stage has several chunks. GPipe takes the same
        time as 1F1B and more memory, so it is never searched, only asked for.
    least_*: smallest degrees, for what must be split at all.
    keep: how many of the best layouts to return.
    """

    batch: int
    memory_bytes: float | None = None
    precision: Precision = "bf16"
    optimizer: Optimizer = "adamw"
    offload: Offload = "none"
    dp: int | None = None
    tp: int | None = None
    pp: int | None = None
    vp: int | None = None
    cp: int | None = None
    ep: int | None = None
    expert_tp: int = 1
    zero: int | None = None
    dp_shard: int | None = None
    sequence_parallel: bool | None = None
    micro_batch: int | None = None
    recompute: Recompute | None = None
    recompute_layers: int = -1
    schedule: Schedule | None = None
    least_dp: int = 1
    least_tp: int = 1
    least_pp: int = 1
    keep: int = 10

    def __post_init__(self) -> None:
        """Raises `FieldError` for the first value that no search can be run with."""
        if positive("batch", self.batch) > MOST_SEQUENCES:
            raise FieldError("batch", f"at most {MOST_SEQUENCES:,} sequences, found {self.batch}")
        if self.memory_bytes is not None:
            positive_number("memory", self.memory_bytes)
        for name in ("dp", "tp", "pp", "vp", "cp", "ep", "micro_batch"):
            value = getattr(self, name)
            if value is not None:
                positive(name, value)
        for name in ("expert_tp", "least_dp", "least_tp", "least_pp", "keep"):
            positive(name, getattr(self, name))
        if self.zero is not None and self.zero not in (0, 1, 2, 3):
            raise FieldError("zero", f"the stage is 0, 1, 2 or 3, found {self.zero}")
        if self.dp_shard is not None and self.dp_shard < 0:
            raise FieldError("dp_shard", "must be 0 (all) or a positive whole number")
        _one_of("precision", self.precision, PRECISIONS)
        _one_of("optimizer", self.optimizer, OPTIMIZERS)
        _one_of("offload", self.offload, OFFLOADS)
        _one_of("recompute", self.recompute, (*RECOMPUTES, None))
        _one_of("schedule", self.schedule, (*SCHEDULES, None))

    def limit_bytes(self, gpu_bytes: float) -> float:
        """The memory limit on a GPU that has `gpu_bytes`."""
        return gpu_bytes if self.memory_bytes is None else self.memory_bytes


def _one_of(field: str, value: str | None, choices: tuple[str | None, ...]) -> None:
    if value not in choices:
        names = ", ".join(str(name) for name in choices if name is not None)
        raise FieldError(field, f"unknown {value!r}; choose from {names}")


def divisors(number: int) -> tuple[int, ...]:
    """All divisors of a positive `number`, smallest first."""
    small = [d for d in range(1, math.isqrt(number) + 1) if number % d == 0]
    large = [number // d for d in reversed(small) if d * d != number]
    return (*small, *large)
