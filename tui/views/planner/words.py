"""What follows from a field's value, said under it: the model's shape, nodes, replicas."""

from ....engine.planner.question.question import ReferenceData
from ...planner.plan import Plan
from ...planner.units import gib, parameters
from ...style.glyphs import Glyphs


def derived_words(plan: Plan, data: ReferenceData, glyphs: Glyphs) -> dict[str, str]:
    """Words by the field's key."""
    model, where, layout = plan.model, plan.cluster, plan.layout
    dot, times = f" {glyphs.dot} ", glyphs.times
    shape = [
        f"{parameters(model.parameters)}",
        f"{model.layers} layers {times} {model.hidden}",
        f"{model.heads} heads" + (f"/{model.kv_heads}" if model.kv_heads != model.heads else ""),
        f"ffn {model.ffn}",
    ]
    if model.experts is not None:
        shape[1:1] = [f"{parameters(model.active_parameters)} active"]
        shape[-1] = f"{model.experts.count} experts of {model.experts.ffn}"
    nodes = f"{where.nodes} node{'' if where.nodes == 1 else 's'} of {where.node_gpus}"
    many = layout.micro_batches
    return {
        "model": dot.join(shape),
        "gpu": dot.join(
            [
                f"{gib(where.gpu.memory_bytes)} GiB",
                f"{where.gpu.peak_flops(layout.precision) / 1e12:.0f} TFLOP/s",
            ]
        ),
        "gpus": nodes,
        "price": _price(plan, data),
        "framework": data.origin(where.gpu.key),
        "micro_batch": f"{layout.dp} replica{'' if layout.dp == 1 else 's'} {times} "
        f"{many} micro-batch{'' if many == 1 else 'es'}",
    }


def _price(plan: Plan, data: ReferenceData) -> str:
    listed = data.prices.get(plan.cluster.gpu.key)
    if listed is None or plan.price != listed.usd_per_hour:
        return "" if plan.price is not None else "no list price: none is shown"
    return f"${listed.usd_per_hour:.2f} listed on {listed.date}"
