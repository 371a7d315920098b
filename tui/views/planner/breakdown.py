"""Memory per GPU and the step's time, part by part, as bars."""

from ....engine.planner.cost.estimate import Estimate
from ....engine.planner.explain.memory import MEMORY
from ....engine.planner.explain.step import STEP
from ...drawing.line import Piece, line, muted, strong
from ...drawing.meter import Part, stacked
from ...planner.evaluation import Evaluation
from ...planner.units import gib, seconds
from ..panel import Room, Row, RowsView
from .common import bar_row, panel_title, verdict

LABEL = 16
NARROW_LABEL = 12
WIDE = 44
LEAST_SHARE = 5e-4
"""What takes less of a step would show as 0.0 %."""


def memory_view(evaluation: Evaluation, room: Room, note: str = "") -> RowsView:
    """The bar is the memory limit; each part is a share of what is used, with the sign and the ink
    that it has in the bar."""
    memory, limit = evaluation.estimate.memory, evaluation.plan.limit_bytes
    parts = (
        ("weights", memory.weights, "weights", 0),
        ("gathered", memory.gathered, "gathered layers", 0),
        ("gradients", memory.gradients, "gradients", 1),
        ("optimizer", memory.optimizer, "optimizer states", 2),
        ("update", memory.update, "optimizer's step", 2),
        ("activations", memory.activations, "activations", 3),
        ("logits", memory.logits, "logits", 3),
        ("fragments", memory.reserve, "fragments", 4),
        ("context", memory.context, "context and communicators", 4),
    )
    _, ink, _ = verdict(memory.total / limit, room.glyphs)
    label = LABEL if room.width >= WIDE else NARROW_LABEL
    rows = tuple(
        bar_row(
            name,
            amount,
            memory.total,
            f"{gib(amount):>6} GiB",
            room,
            label=label,
            style=style,
            target=target,
        )
        for name, amount, target, style in parts
        if amount > 0
    )
    figures = line(
        Piece(gib(memory.total), ink), muted(" of "), strong(gib(limit)), muted(" GiB per GPU")
    )
    whole = stacked(memory_parts(evaluation.estimate), limit, room.width - 1, room.glyphs)
    return RowsView(
        panel_title("Memory", note), figures, rows=(Row(line(" ", whole), MEMORY), *rows)
    )


def memory_parts(result: Estimate) -> tuple[Part, ...]:
    """Five parts that a stacked bar can tell apart."""
    memory = result.memory
    return (
        Part("weights", memory.weights + memory.gathered, 0),
        Part("gradients", memory.gradients, 1),
        Part("optimizer", memory.optimizer + memory.update, 2),
        Part("activations", memory.activations + memory.logits, 3),
        Part("other", memory.reserve + memory.context, 4),
    )


def step_parts(result: Estimate) -> tuple[Part, ...]:
    """Five parts that a stacked bar can tell apart."""
    time = result.time
    return (
        Part("compute", time.compute_s - time.recompute_s, 0),
        Part("recompute", time.recompute_s, 1),
        Part("comm", time.communication_s, 2),
        Part("bubble", time.bubble_s, 3),
        Part("other", time.optimizer_s + time.offload_s + time.overhead_s + time.straggler_s, 4),
    )


def step_view(evaluation: Evaluation, room: Room, note: str = "") -> RowsView:
    """Every part of the step that takes time, kind by kind, with the sign and the ink that its kind
    has in the bar."""
    time = evaluation.estimate.time
    parts = (
        ("matmul", time.gemm_s, "matrix products", 0),
        ("attention", time.attention_s, "attention", 0),
        ("elementwise", time.elementwise_s, "norms, activations, residuals", 0),
        ("logits, loss", time.head_s, "logits and loss", 0),
        ("launches", time.launch_s, "waiting for kernel launches", 0),
        ("recompute", time.recompute_s, "recomputation", 1),
        ("tensor comm", time.tensor_s, "tensor-parallel communication", 2),
        ("context comm", time.context_s, "context-parallel communication", 2),
        ("expert comm", time.expert_s, "expert dispatch", 2),
        ("pipeline comm", time.pipeline_s, "pipeline sends", 2),
        ("to the host", time.swap_s, "activations to the host and back", 2),
        ("data comm", time.data_s, "data-parallel communication", 2),
        ("contention", time.contention_s, "computation slowed by collectives", 2),
        ("bubble", time.bubble_s, "pipeline bubble", 3),
        ("optimizer", time.optimizer_s, "optimizer", 4),
        ("offload", time.offload_s, "offloading", 4),
        ("fixed cost", time.overhead_s, "fixed cost of a step", 4),
        ("stragglers", time.straggler_s, "stragglers", 4),
    )
    total = time.total_s
    label = LABEL if room.width >= WIDE else NARROW_LABEL
    rows = tuple(
        bar_row(
            name,
            amount,
            total,
            f"{seconds(amount):>7}",
            room,
            label=label,
            style=style,
            target=target,
        )
        for name, amount, target, style in parts
        if amount > LEAST_SHARE * total
    )
    whole = stacked(step_parts(evaluation.estimate), None, room.width - 1, room.glyphs)
    figures = line(strong(seconds(total)), muted(" a step"))
    return RowsView(panel_title("Step", note), figures, rows=(Row(line(" ", whole), STEP), *rows))
