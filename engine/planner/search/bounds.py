"""What a split's layouts take at least, so that a search need not work out those that cannot win.

Memory is exact: the bytes of a layout are those of its states, which the shape does not change, and
those of its activations, which the sharding does not change. Time is a bound from below, see
`least_s`.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby

from ..cost.layout import Layout
from ..cost.memory import passing_total, states_total, update_total
from ..cost.schedule import StepTime, step_time
from ..cost.setting import Setting
from ..cost.stages import stage_layers
from .constraints import Constraints
from .legal import (
    Again,
    Shape,
    Sharding,
    Split,
    build,
    chunk_counts,
    micro_batches,
    recomputes,
    shardings,
)

ROUNDING = 1e-9
"""Relative; sums of the same bytes in another order differ by less."""


@dataclass(frozen=True, slots=True)
class SizedShape:
    """A shape and the bytes that it adds to the states, fragments with them."""

    shape: Shape
    memory_bytes: float


@dataclass(frozen=True, slots=True)
class SizedSharding:
    """A sharding and the bytes of what is there whatever the shape: states and context.

    update_bytes: what the optimizer's step takes in all, while no activations are there.
    """

    sharding: Sharding
    memory_bytes: float
    update_bytes: float


@dataclass(frozen=True, slots=True)
class Floor:
    """Seconds of a split and a recomputation that no micro-batch or sharding goes below.

    running: all the batch's micro-batches. bubble: one stage's time for one sequence, times the
    stages that wait. Both are stretched by stragglers; `fixed` is what each step costs.
    """

    running_s: float
    bubble_s: float
    fixed_s: float

    def of(self, shape: Shape) -> float:
        """A bound for `shape`."""
        return self.running_s + self.bubble_s * shape.micro_batch / shape.vp + self.fixed_s


@dataclass(slots=True)
class SplitBounds:
    """One split with its shapes that can fit, its shardings (leanest first), and its bounds."""

    split: Split
    layouts: int
    fitting: int
    shapes: list[SizedShape]
    shardings: list[SizedSharding]
    leanest: tuple[float, Sharding, Shape]
    chunks: int
    floors: dict[Again, Floor] = field(default_factory=dict)

    @property
    def least_s(self) -> float:
        """No layout of the split that fits takes less."""
        return min((self.of(each.shape) for each in self.shapes), default=float("inf"))

    def of(self, shape: Shape) -> float:
        """No layout of `shape` takes less, if no smaller micro-batch was tightened with."""
        return self.floors[shape.again].of(shape)

    def tighten(self, layout: Layout, time: StepTime) -> None:
        """Bound what has the recomputation of `layout` and no larger micro-batches by its time."""
        self.floors[layout.recompute, layout.recompute_layers] = floor_of(layout, time, self.chunks)


def bound_splits(
    setting: Setting, constraints: Constraints, splits: Iterable[Split], limit: float
) -> Iterator[SplitBounds]:
    """Bounds of all `splits`; those that differ in their experts alone share their shapes."""
    for _, group in groupby(splits, key=lambda split: (split.dp, split.tp, split.pp, split.cp)):
        members = [(split, _sized_shardings(setting, constraints, split)) for split in group]
        least = min(kept[0].memory_bytes for _, kept in members)
        first, _ = members[0]
        sized, count = _sized_shapes(setting, constraints, first, limit - least)
        for split, kept in members:
            yield _bound(setting, constraints, split, kept, sized, count, limit)


def _bound(
    setting: Setting,
    constraints: Constraints,
    split: Split,
    kept: list[SizedSharding],
    sized: list[SizedShape],
    count: int,
    limit: float,
) -> SplitBounds:
    room = limit * (1 + ROUNDING)
    states = [each.memory_bytes for each in kept if each.update_bytes <= room]
    fits = [each for each in sized if states and each.memory_bytes + states[0] <= room]
    least = min(sized, key=lambda each: each.memory_bytes)
    needs = [max(each.memory_bytes + least.memory_bytes, each.update_bytes) for each in kept]
    leanest = min(needs)
    found = SplitBounds(
        split=split,
        layouts=count * len(kept),
        fitting=sum(bisect_right(states, room - each.memory_bytes) for each in fits),
        shapes=fits,
        shardings=kept,
        leanest=(leanest, kept[needs.index(leanest)].sharding, least.shape),
        chunks=min((each.shape.vp for each in fits), default=1),
    )
    if fits:
        found.floors = _floors(setting, constraints, found)
    return found


def _sized_shardings(
    setting: Setting, constraints: Constraints, split: Split
) -> list[SizedSharding]:
    shape = Shape(1, 1, 1, "none")
    found = []
    for sharding in shardings(constraints, split):
        layout = build(setting, constraints, split, sharding, shape)
        states, update = states_total(setting, layout), update_total(setting, layout)
        found.append(SizedSharding(sharding, states, update))
    return sorted(found, key=lambda each: each.memory_bytes)


def _sized_shapes(
    setting: Setting, constraints: Constraints, split: Split, room: float
) -> tuple[list[SizedShape], int]:
    """Shapes by rising micro-batch, and how many there are in all.

    A larger micro-batch never needs less memory, so that the first of which nothing fits into
    `room` is the last that is sized.
    """
    found: list[SizedShape] = []
    count, full = 0, False
    again = recomputes(setting, constraints, split)
    plain = Sharding(0, 0)
    for micro in micro_batches(constraints, split):
        m = constraints.batch // split.dp // micro
        chunks = chunk_counts(setting, constraints, split, m)
        count += len(chunks) * len(again)
        if full:
            continue
        full = bool(chunks)
        for vp in chunks:
            for one in again:
                shape = Shape(micro, m, vp, *one)
                layout = build(setting, constraints, split, plain, shape)
                size = passing_total(setting, layout)
                full = full and size > room * (1 + ROUNDING)
                found.append(SizedShape(shape, size))
    return found, count


def _floors(setting: Setting, constraints: Constraints, bounds: SplitBounds) -> dict[Again, Floor]:
    """Bounds from the largest micro-batch that fits.

    A larger micro-batch takes less time per sequence: products fill their waves, and latencies,
    launches and weights' bytes come once for more of them. Context traffic counts as far as it is
    longer than the attention it hides behind, and the longer of the two shrinks as well. So all
    micro-batches together take no less than with the largest. The bubble is one micro-batch's time
    on each stage that waits, and no sequence takes less than with the largest. States' traffic and
    the optimizer come on top.
    """
    largest = max(each.shape.micro_batch for each in bounds.shapes)
    chunks = bounds.chunks
    split, share = bounds.split, constraints.batch // bounds.split.dp
    floors = {}
    for again in {each.shape.again for each in bounds.shapes}:
        shape = Shape(largest, max(1, share // largest), chunks, *again)
        layout = build(setting, constraints, split, bounds.shardings[0].sharding, shape)
        time = step_time(setting, layout)
        floors[again] = floor_of(layout, time, chunks)
    return floors


def floor_of(layout: Layout, time: StepTime, chunks: int) -> Floor:
    """The bound that `layout` gives for micro-batches no larger than its own, see `_floors`.

    Sends between stages grow with the chunks of each; `chunks` is the smallest number of them.
    """
    stretch = stretched(time)
    spared = time.pipeline_s * (1 - chunks / layout.vp)
    running = time.compute_s + time.communication_s - time.data_s - time.contention_s - spared
    if layout.schedule == "sequential":
        return Floor((running + time.bubble_s) * stretch, 0.0, time.overhead_s)
    waits = time.bubble_s * layout.vp - (layout.pp - 1) * spared / layout.micro_batches
    return Floor(running * stretch, waits / layout.micro_batch * stretch, time.overhead_s)


@dataclass(frozen=True, slots=True)
class StatesFloor:
    """Seconds that a sharding's traffic and optimizer add to any shape of a split.

    fixed_s comes once. traffic_s was found with `micro_batches` of them; where it `grows`, it is no
    less than in proportion with fewer, and no less at all with more.
    """

    fixed_s: float
    traffic_s: float
    micro_batches: int
    grows: bool

    def of(self, shape: Shape) -> float:
        """A bound for `shape`."""
        if not self.grows or shape.micro_batches >= self.micro_batches:
            return self.fixed_s + self.traffic_s
        return self.fixed_s + self.traffic_s * shape.micro_batches / self.micro_batches


def states_floor(setting: Setting, layout: Layout, time: StepTime) -> StatesFloor:
    """What other shapes of `layout`'s split and sharding take at least for their states.

    At most the share `dp_overlap` of traffic hides, and what hides slows computation by the share
    `contention`; stage 3 may hide nearly all. Where the last stage has fewer layers than the others
    and binds instead, its gathers come that much less often.
    """
    stage = stage_layers(setting.model.layers, layout.pp)
    contention = setting.constants.universal.contention
    share = 1 - setting.software.dp_overlap * (1 - contention)
    if layout.zero == 3 and layout.pp == 1:
        share = min(share, contention)
    share *= min(stage.inner, stage.last) / max(stage.inner, stage.last)
    stretch = stretched(time)
    return StatesFloor(
        fixed_s=time.optimizer_s * stretch,
        traffic_s=(share * time.data_traffic_s + time.offload_s) * stretch,
        micro_batches=layout.micro_batches,
        grows=layout.offload == "all" or (layout.zero >= 2 and layout.pp == 1),
    )


def stretched(time: StepTime) -> float:
    """The factor by which stragglers lengthen everything but a step's fixed cost."""
    running = time.total_s - time.overhead_s - time.straggler_s
    return 1 + time.straggler_s / running


def without_states(time: StepTime) -> float:
    """A step's seconds without what the sharding decides: its traffic, optimizer and offloading."""
    sharded = time.data_s + time.contention_s + time.optimizer_s + time.offload_s
    return time.total_s - sharded * stretched(time)
