"""Layouts drawn at random, all of which the planner holds to be possible."""

from collections.abc import Sequence
from dataclasses import fields

from hypothesis import assume, event
from hypothesis import strategies as st
from prodtop.engine.planner.cost.hardware import Precision, cluster, find_gpu
from prodtop.engine.planner.cost.layout import Layout, Offload, Optimizer, Recompute, check_layout
from prodtop.engine.planner.cost.setting import Setting, setting
from prodtop.engine.planner.export.contract import Export, InexpressibleError, TrainingRun
from prodtop.engine.planner.export.engines import export
from prodtop.engine.shape.field_errors import FieldError
from prodtop.engine.shape.presets import preset

POWERS = (1, 2, 4, 8)
FIELDS = {field.name for field in fields(Layout)} | {"model", "gpus"}
"""What a refusal may name."""

Plan = tuple[Setting, Layout]


def exported(engine: str, planned: Plan, run: TrainingRun) -> Export | None:
    """The export, or nothing where the engine refuses the plan by a field of the layout."""
    try:
        return export(engine, *planned, run)
    except InexpressibleError as refusal:
        if refusal.field not in FIELDS:
            raise
        event(f"refused: {refusal.field}")
        return None


def plan(model: str, layout: Layout, *, sequence: int = 8192, software: str = "torch") -> Plan:
    """`layout` on as many H100s as it takes, eight to a node."""
    gpus = cluster(find_gpu("h100"), layout.world)
    return setting(preset(model), gpus, sequence, software), layout


@st.composite
def plans(
    draw: st.DrawFn,
    *,
    models: Sequence[str],
    zeros: Sequence[int],
    tensor: Sequence[int] = POWERS,
    pipeline: Sequence[int] = POWERS,
    chunks: Sequence[int] = (1, 1, 2, 4),
    context: Sequence[int] = (1, 1, 2, 4),
    experts: Sequence[int] = POWERS,
    sequence_parallel: bool | None = None,
    recompute: Sequence[Recompute] = ("none", "selective", "full"),
    modules: Sequence[tuple[str, ...]] = ((),),
    precisions: Sequence[Precision] = ("bf16",),
    optimizers: Sequence[Optimizer] = ("adamw",),
    offloads: Sequence[Offload] = ("none",),
    software: Sequence[str] = ("torch", "torch-compile"),
) -> Plan:
    """A legal plan. `sequence_parallel` is with tensor parallelism always, never, or at times."""
    model = preset(draw(st.sampled_from(models)))
    tp, pp = draw(st.sampled_from(tensor)), draw(st.sampled_from(pipeline))
    cp, dp = draw(st.sampled_from(context)), draw(st.sampled_from((1, 2, 4, 8, 16)))
    vp = draw(st.sampled_from(chunks)) if pp > 1 else 1
    split = draw(st.booleans()) if sequence_parallel is None else sequence_parallel
    layout = Layout(
        dp=dp,
        tp=tp,
        pp=pp,
        vp=vp,
        cp=cp,
        ep=draw(st.sampled_from(experts)) if model.experts else 1,
        expert_tp=draw(st.sampled_from((1, tp))) if model.experts else 1,
        zero=draw(st.sampled_from(zeros)),
        dp_shard=draw(st.sampled_from((0, 0, cp, cp * max(1, dp // 2)))),
        sequence_parallel=split and tp > 1,
        micro_batch=draw(st.sampled_from((1, 2, 3))),
        micro_batches=draw(st.sampled_from((1, pp, 2 * pp, 3 * pp, pp + 3))),
        recompute=draw(st.sampled_from(recompute)),
        recompute_modules=draw(st.sampled_from(modules)),
        precision=draw(st.sampled_from(precisions)),
        optimizer=draw(st.sampled_from(optimizers)),
        offload=draw(st.sampled_from(offloads)),
        schedule=draw(st.sampled_from(("1f1b", "interleaved" if vp > 1 else "gpipe"))),
    )
    found = plan(model.name, layout, software=draw(st.sampled_from(software)))
    try:
        check_layout(layout, model, found[0].cluster, found[0].sequence)
    except FieldError:
        assume(False)
    return found
