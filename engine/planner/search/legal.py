"""Every layout that can be run on a cluster with a global batch, in three steps.

A `Split` deals the GPUs out; a `Sharding` says who keeps which part of the states; a `Shape` says
how a replica works through its share of the batch. What is legal is `layout.check_layout`'s to say;
each step only leaves out early what that would refuse.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from ...protocol.wording import counted
from ...shape.field_errors import FieldError
from ..cost.layout import Layout, Recompute, check_layout, missing_layers
from ..cost.setting import Setting
from ..cost.stages import stage_layers
from .constraints import MOST_GPUS, RECOMPUTES, Constraints, divisors

Again = tuple[Recompute, int]
"""A kind of recomputation, and how many layers of a stage it is done in (-1: all)."""
MOST_CHUNKS = 256
"""Model chunks of one pipeline stage that are tried."""


@dataclass(frozen=True, slots=True, order=True)
class Split:
    """How many ways each kind of parallelism splits; the product of the first four is all GPUs."""

    dp: int
    tp: int
    pp: int
    cp: int
    ep: int


@dataclass(frozen=True, slots=True, order=True)
class Sharding:
    """The ZeRO stage, and the ranks that share one copy (0: all of dp · cp)."""

    zero: int
    dp_shard: int


@dataclass(frozen=True, slots=True)
class Shape:
    """Micro-batch, how many of them, chunks per stage and recomputation."""

    micro_batch: int
    micro_batches: int
    vp: int
    recompute: Recompute
    layers: int = -1

    @property
    def again(self) -> Again:
        """What is computed again, and in how many layers of a stage."""
        return self.recompute, self.layers


@dataclass
class Refusals:
    """Why splits were refused, by the stage that they reached before they were."""

    furthest: FieldError | None = None
    _stage: int = field(default=-1)

    def note(self, stage: int, error: FieldError) -> None:
        """Keep the refusal that came closest to something legal."""
        if stage > self._stage:
            self._stage, self.furthest = stage, error


def legal_splits(
    setting: Setting, constraints: Constraints, refusals: Refusals | None = None
) -> list[Split]:
    """The splits of all GPUs that leave each replica whole sequences of the batch.

    Raises `FieldError` where the cluster is beyond what is searched.
    """
    gpus = setting.cluster.gpus
    if gpus > MOST_GPUS:
        raise FieldError("gpus", f"at most {MOST_GPUS:,} are searched, found {gpus}")
    noted = Refusals() if refusals is None else refusals
    counts = _divisors(gpus)
    found: list[Split] = []
    for tp in _degrees("tp", counts, constraints.tp, constraints.least_tp, gpus, noted):
        for pp in _degrees("pp", counts, constraints.pp, constraints.least_pp, gpus, noted):
            for cp in _degrees("cp", counts, constraints.cp, 1, gpus, noted):
                dp, rest = divmod(gpus, tp * pp * cp)
                if rest:
                    continue
                for ep in _expert_degrees(setting, constraints):
                    split = Split(dp, tp, pp, cp, ep)
                    try:
                        _check_split(setting, constraints, split)
                    except _RefusedError as refused:
                        noted.note(refused.stage, refused.error)
                    else:
                        found.append(split)
    if not found and noted.furthest is None:
        asked = {name: getattr(constraints, f"least_{name}") for name in ("dp", "tp", "pp")}
        least = " and ".join(f"{name} ≥ {degree}" for name, degree in asked.items() if degree > 1)
        reason = f"{counted(gpus, 'GPU')} cannot be split with {least}"
        noted.note(0, FieldError("gpus", reason))
    return found


def _degrees(
    name: str, counts: tuple[int, ...], fixed: int | None, least: int, gpus: int, noted: Refusals
) -> tuple[int, ...]:
    if fixed is None:
        return tuple(count for count in counts if count >= least)
    if gpus % fixed:
        noted.note(0, FieldError(name, f"{counted(gpus, 'GPU')} cannot be split by {fixed}"))
        return ()
    return (fixed,) if fixed >= least else ()


class _RefusedError(Exception):
    """A split that cannot be run, and at which `stage` of the checks that was found."""

    def __init__(self, stage: int, error: FieldError) -> None:
        super().__init__(str(error))
        self.stage = stage
        self.error = error


def _check_split(setting: Setting, constraints: Constraints, split: Split) -> None:
    """Raise `_RefusedError` where no shape of `split` is legal."""
    model, batch = setting.model, constraints.batch
    if split.dp < constraints.least_dp:
        found = f"{_product(split)} leave {counted(split.dp, 'replica')}"
        needed = f"{found}, but at least {constraints.least_dp} are asked for"
        raise _RefusedError(1, FieldError("dp", needed))
    if constraints.dp not in (None, split.dp):
        found = f"{_product(split)} leave dp {split.dp}, not {constraints.dp}"
        raise _RefusedError(1, FieldError("dp", found))
    shape = Shape(1, split.pp, 1, "none")
    sharding = Sharding(constraints.zero or 0, constraints.dp_shard or 0)
    layout = build(setting, constraints, split, sharding, shape)
    try:
        check_layout(layout, model, setting.cluster, setting.sequence)
    except FieldError as error:
        raise _RefusedError(2, error) from error
    if batch % split.dp:
        found = f"{counted(batch, 'sequence')} cannot be split over dp {split.dp}"
        raise _RefusedError(3, FieldError("batch", found))
    share, micro = batch // split.dp, constraints.micro_batch
    if micro and share % micro:
        each = counted(share, "sequence")
        found = f"{each} of a replica cannot be split into micro-batches of {micro}"
        raise _RefusedError(4, FieldError("micro_batch", found))
    if constraints.vp is None and constraints.schedule != "interleaved":
        return
    if not any(shapes(setting, constraints, split)):
        vp, stages = constraints.vp, counted(split.pp, "stage")
        chunks = "several chunks" if vp is None else counted(vp, "chunk")
        found = f"{counted(model.layers, 'layer')} and {counted(share, 'sequence')}"
        found += f" do not make up {chunks} on each of {stages}"
        raise _RefusedError(5, FieldError("vp", found))


def _product(split: Split) -> str:
    return f"tp {split.tp} × pp {split.pp} × cp {split.cp}"


def _expert_degrees(setting: Setting, constraints: Constraints) -> tuple[int, ...]:
    if constraints.ep is not None:
        return (constraints.ep,)
    experts = setting.model.experts
    if experts is None:
        return (1,)
    return tuple(ep for ep in _divisors(setting.cluster.gpus) if experts.count % ep == 0)


def shardings(constraints: Constraints, split: Split) -> list[Sharding]:
    """The ZeRO stages and hybrid shards of `split`.

    One rank has nothing to share. A pipeline adds up whole gradients until its last micro-batch, so
    that stage 2 would hold no less than stage 1: it is left out there.
    """
    ranks = split.dp * split.cp
    stages = (constraints.zero,) if constraints.zero is not None else (0, 1, 2, 3)
    found = []
    for zero in stages:
        if constraints.zero is None:
            if zero and ranks == 1 and (split.ep == 1 or split.tp == 1):
                continue
            if zero >= 2 and split.pp > 1 and (zero == 2 or constraints.schedule == "sequential"):
                continue
        if constraints.dp_shard is not None:
            found.append(Sharding(zero, constraints.dp_shard))
            continue
        found.append(Sharding(zero, 0))
        if zero:
            found += [Sharding(zero, shard) for shard in _divisors(ranks)[1:-1]]
    return found


def micro_batches(constraints: Constraints, split: Split) -> tuple[int, ...]:
    """Micro-batch sizes that divide a replica's share of the batch, smallest first."""
    if constraints.micro_batch is not None:
        return (constraints.micro_batch,)
    return _divisors(constraints.batch // split.dp)


def chunk_counts(setting: Setting, constraints: Constraints, split: Split, m: int) -> list[int]:
    """Model chunks per stage with `m` micro-batches: several only in whole rounds of the stages."""
    known = _chunks(setting.model.layers, split.pp, constraints.schedule)
    return [v for v in known if constraints.vp in (None, v) and (v == 1 or m % split.pp == 0)]


@lru_cache(maxsize=4096)
def _chunks(layers: int, pp: int, schedule: str | None) -> tuple[int, ...]:
    if pp == 1:
        return (1,) if schedule != "interleaved" else ()
    if schedule in ("sequential", "gpipe", "1f1b"):
        return (1,)
    # Embedding and head may stand for layers, as in `stages.StageLayers`.
    each, missing = -(-layers // pp), missing_layers(layers, pp)
    most = min(MOST_CHUNKS, layers // pp)
    found = [v for v in range(2, most + 1) if each % v == 0 and missing <= 2 * each // v]
    return tuple(found) if schedule == "interleaved" else (1, *found)


def recomputes(setting: Setting, constraints: Constraints, split: Split) -> tuple[Again, ...]:
    """The recomputations that are tried, full ones also of a quarter of the layers where the
    framework can."""
    if constraints.recompute is not None:
        return ((constraints.recompute, constraints.recompute_layers),)
    found: list[Again] = [(recompute, -1) for recompute in RECOMPUTES]
    if setting.software.partial_recompute:
        inner = stage_layers(setting.model.layers, split.pp).inner
        found += [("full", -(-inner // 4))] if inner > 1 else []
    return tuple(found)


def shapes(setting: Setting, constraints: Constraints, split: Split) -> Iterator[Shape]:
    """All shapes of `split`, by rising micro-batch."""
    share = constraints.batch // split.dp
    for micro in micro_batches(constraints, split):
        m = share // micro
        for vp in chunk_counts(setting, constraints, split, m):
            for again in recomputes(setting, constraints, split):
                yield Shape(micro, m, vp, *again)


def build(
    setting: Setting, constraints: Constraints, split: Split, sharding: Sharding, shape: Shape
) -> Layout:
    """The layout that the three steps come to."""
    parallel = constraints.sequence_parallel
    if parallel is None:
        parallel = split.tp > 1 and (setting.sequence // split.cp) % split.tp == 0
    schedule = constraints.schedule or ("interleaved" if shape.vp > 1 else "1f1b")
    return Layout(
        dp=split.dp,
        tp=split.tp,
        pp=split.pp,
        vp=shape.vp,
        cp=split.cp,
        ep=split.ep,
        expert_tp=constraints.expert_tp,
        zero=sharding.zero,
        dp_shard=sharding.dp_shard,
        sequence_parallel=parallel,
        micro_batch=shape.micro_batch,
        micro_batches=shape.micro_batches,
        recompute=shape.recompute,
        recompute_layers=shape.layers,
        offload=constraints.offload,
        precision=constraints.precision,
        optimizer=constraints.optimizer,
        schedule=schedule,
    )


def legal_layouts(setting: Setting, constraints: Constraints) -> Iterator[Layout]:
    """Every legal layout, one after the other: what a search of them all would try."""
    for split in legal_splits(setting, constraints):
        kept = shardings(constraints, split)
        for shape in shapes(setting, constraints, split):
            for sharding in kept:
                yield build(setting, constraints, split, sharding, shape)


@lru_cache(maxsize=4096)
def _divisors(number: int) -> tuple[int, ...]:
    return divisors(number)
