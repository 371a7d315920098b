"""The parts of a step as terms with their formulas, as `work` computes them."""

from ..cost.communication import place, reduce_s
from ..cost.products import rates
from ..cost.terms import Term, total
from .roofline import attention_flops, cache_bytes, head_weights
from .server import Server
from .step import Step
from .work import (
    DIRECT_LINK_BYTES_S,
    ProductCost,
    cache_bytes_s,
    layer_kernels,
    moved_elementwise,
    product_costs,
    prompt_attention_flops,
    prompt_flops_s,
    weights_bytes_s,
)

_WHERE = "serving.toml"


def explain_decode_step(server: Server, batch: int, context: float, step: Step) -> Term:
    """A decode step of `batch` sequences of `context` tokens."""
    rate = rates(server.setting, server.storage.base_arithmetic)
    attention = Term(
        name="attention",
        value=step.attention_s,
        unit="s",
        formula="max(cache / reading, flops / peak)",
        inputs={
            "cache": cache_bytes(server, batch, context),
            "reading": cache_bytes_s(server),
            "flops": attention_flops(server, batch, context),
            "peak": rate.base_flops,
        },
        source=f"reading: the copy bandwidth times kv_share ({_WHERE})",
    )
    return _step("decode step", server, batch, batch, attention, step, prompts=0)


def explain_prefill_step(
    name: str, server: Server, prompts: int, prompt_tokens: int, step: Step
) -> Term:
    """The step that computes `prompts` prompts of `prompt_tokens`."""
    rows = float(prompts * prompt_tokens)
    attention = Term(
        name="attention",
        value=step.attention_s,
        unit="s",
        formula="flops / rate",
        inputs={
            "flops": prompt_attention_flops(server, rows, prompt_tokens),
            "rate": prompt_flops_s(server, prompt_tokens),
        },
        source="calibration.toml: attention_flash3, less for short prompts",
    )
    return _step(name, server, rows, prompts, attention, step, prompts=prompts)


def _step(
    name: str,
    server: Server,
    rows: float,
    logits: int,
    attention: Term,
    step: Step,
    *,
    prompts: int,
) -> Term:
    """`rows` tokens through the layers, `logits` of them through the head."""
    parts = [
        _products(server, rows),
        _head(server, logits, step.head_s),
        attention,
        Term(
            name="norms, activations, residuals",
            value=step.elementwise_s,
            unit="s",
            formula="moved / copy",
            inputs={"moved": moved_elementwise(server, rows), "copy": server.copy_bytes_s},
        ),
        Term(
            name="kernel starts",
            value=step.kernels_s,
            unit="s",
            formula="layers * kernels * start",
            inputs={
                "layers": server.model.layers,
                "kernels": layer_kernels(server),
                "start": server.engine.kernel_s,
            },
            source=f"beside the products ({_WHERE})",
        ),
        _all_reduces(server, rows, step.communication_s),
        Term(
            name="host",
            value=step.host_s,
            unit="s",
            formula="step + sequences * each + prompts * request",
            inputs={
                "step": server.engine.step_s,
                "sequences": logits,
                "each": server.engine.sequence_s,
                "prompts": prompts,
                "request": server.engine.request_s,
            },
            source=_WHERE,
        ),
    ]
    return total(name, "s", parts)


def _products(server: Server, rows: float) -> Term:
    parts = [_product(cost, server.model.layers) for cost in product_costs(server, rows)]
    return total("matrix products", "s", parts, "roofline of each product, with part of a wave")


def _product(cost: ProductCost, layers: int) -> Term:
    inputs: dict[str, float] = {
        "layers": layers,
        "flops": cost.flops,
        "rate": cost.flops_s,
        "moved": cost.moved_bytes,
        "memory": cost.bytes_s,
        "present": cost.present,
        "start": cost.kernel_s,
    }
    bounds = "flops / rate, moved / memory"
    if cost.conversion_s < float("inf"):
        inputs |= {"weights": cost.weights, "conversion": cost.conversion_s}
        bounds += ", weights / conversion"
    return Term(
        name=cost.name,
        value=layers * cost.seconds,
        unit="s",
        formula=f"layers * (max({bounds}) + start * present)",
        inputs=inputs,
        source=f"calibration.toml and {_WHERE}",
    )


def _head(server: Server, rows: int, seconds: float) -> Term:
    rate = rates(server.setting, server.storage.base_arithmetic)
    return Term(
        name="logits",
        value=seconds,
        unit="s",
        formula="max(2 * rows * head / peak, base * head / memory) + start",
        inputs={
            "rows": rows,
            "head": head_weights(server),
            "peak": rate.base_flops,
            "base": server.storage.base_bytes,
            "memory": weights_bytes_s(server),
            "start": rate.kernel_s,
        },
    )


def _all_reduces(server: Server, rows: float, seconds: float) -> Term:
    gpu, gpus = server.gpu, server.gpus
    name = "all-reduces"
    if gpus == 1:
        return Term(name=name, value=seconds, unit="s", source="one GPU has nobody to ask")
    tensor = 2.0 * rows * server.model.hidden
    inputs = {
        "layers": server.model.layers,
        "ring": reduce_s(server.setting, place(gpus, 1, gpu.node_gpus), tensor),
    }
    way = "ring"
    if gpu.link_bytes_s >= DIRECT_LINK_BYTES_S:
        way = "min(ring, start + others * bytes / link)"
        inputs |= {
            "start": server.engine.all_reduce_s,
            "others": gpus - 1,
            "bytes": tensor,
            "link": gpu.link_bytes_s * server.measured.link,
        }
    return Term(
        name=name,
        value=seconds,
        unit="s",
        formula=f"2 * layers * {way}",
        inputs=inputs,
        source="two a layer; in one shot where links are direct",
    )
