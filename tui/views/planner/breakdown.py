"""Memory per GPU and the step's time, part by part, as bars."""

from ....engine.planner.cost.estimate import Estimate
from ....engine.planner.explain.memory import MEMORY
from ....engine.planner.explain.step import STEP
from ...drawing.line import Piece, line, muted, strong
from ...drawing.meter import Part, stacked
from ...planner.evaluation import Evaluation
from ...planner.units import gib, seconds
from ...style.inks import Ink
from ..panel import Room, Row, RowsView
from .common import bar_row, panel_title, verdict

LABEL = 16
NARROW_LABEL = 12
WIDE = 44
LEAST_SHARE = 5e-4
"""What takes less of a step would show as 0.0 %."""


def memory_view(evaluation: Evaluation, room: Room, note: str = "") -> RowsView:
    """The bar is the memory limit; each part is a share of what is used."""
    memory, limit = evaluation.estimate.memory, evaluation.plan.limit_bytes
    parts = (
        ("weights", memory.weights, "weights"),
        ("gradients", memory.gradients, "gradients"),
        ("optimizer", memory.optimizer, "optimizer states"),
        ("gathered", memory.gathered, "gathered layers"),
        ("activations", memory.activations, "activations"),
        ("logits", memory.logits, "logits"),
        ("fragments", memory.reserve, "fragments"),
        ("context", memory.context, "context and communicators"),
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
            target=target,
        )
        for name, amount, target in parts
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
        Part("optimizer", memory.optimizer, 2),
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
    """Every part of the step that takes time, the longest first within its kind."""
    time = evaluation.estimate.time
    parts = (
        ("matmul", time.gemm_s, "matrix products", Ink.ACCENT),
        ("attention", time.attention_s, "attention", Ink.ACCENT),
        ("elementwise", time.elementwise_s, "norms, activations, residuals", Ink.ACCENT),
        ("logits, loss", time.head_s, "logits and loss", Ink.ACCENT),
        ("recompute", time.recompute_s, "recomputation", Ink.ACCENT),
        ("launches", time.launch_s, "waiting for kernel launches", Ink.WARN),
        ("tensor comm", time.tensor_s, "tensor-parallel communication", Ink.MARK),
        ("context comm", time.context_s, "context-parallel communication", Ink.MARK),
        ("expert comm", time.expert_s, "expert dispatch", Ink.MARK),
        ("pipeline comm", time.pipeline_s, "pipeline sends", Ink.MARK),
        ("data comm", time.data_s, "data-parallel communication", Ink.MARK),
        ("contention", time.contention_s, "computation slowed by collectives", Ink.MARK),
        ("bubble", time.bubble_s, "pipeline bubble", Ink.WARN),
        ("optimizer", time.optimizer_s, "optimizer", Ink.ACCENT),
        ("offload", time.offload_s, "offloading", Ink.WARN),
        ("fixed cost", time.overhead_s, "fixed cost of a step", Ink.WARN),
        ("stragglers", time.straggler_s, "stragglers", Ink.WARN),
    )
    total = time.total_s
    label = LABEL if room.width >= WIDE else NARROW_LABEL
    rows = tuple(
        bar_row(
            name, amount, total, f"{seconds(amount):>7}", room, label=label, ink=ink, target=target
        )
        for name, amount, target, ink in parts
        if amount > LEAST_SHARE * total
    )
    whole = stacked(step_parts(evaluation.estimate), None, room.width - 1, room.glyphs)
    figures = line(strong(seconds(total)), muted(" a step"))
    return RowsView(panel_title("Step", note), figures, rows=(Row(line(" ", whole), STEP), *rows))
