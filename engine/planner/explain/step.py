"""The step time as terms: every part with its formula, opened down to products and collectives."""

from collections.abc import Mapping

from ..cost.communication import Collective
from ..cost.compute import PASS_KERNELS, LayerWork, product_works
from ..cost.estimate import Estimate
from ..cost.products import DEEPEST_WAVE, ProductWork, Rates
from ..cost.schedule import StepTime
from ..cost.setting import Setting
from ..cost.states import PCIE_BYTES_S, StateTraffic, host_bytes_s
from .terms import Term, term

STEP = "step time"

STEP_PARTS = {
    "gemm_s": "matrix products",
    "attention_s": "attention",
    "elementwise_s": "norms, activations, residuals",
    "head_s": "logits and loss",
    "recompute_s": "recomputation",
    "launch_s": "waiting for kernel launches",
    "tensor_s": "tensor-parallel communication",
    "context_s": "context-parallel communication",
    "expert_s": "expert dispatch",
    "pipeline_s": "pipeline sends",
    "swap_s": "activations to the host and back",
    "data_s": "data-parallel communication",
    "contention_s": "computation slowed by collectives",
    "bubble_s": "pipeline bubble",
    "optimizer_s": "optimizer",
    "offload_s": "offloading",
    "overhead_s": "fixed cost of a step",
    "straggler_s": "stragglers",
}
"""The parts of a step that add up to it, by their field in `StepTime`."""

_FORMULAS = {
    "gemm_s": "micro_batches * layers * (gemm.forward_s + gemm.backward_s)",
    "attention_s": "micro_batches * layers * (attention.forward_s + attention.backward_s)",
    "elementwise_s": "micro_batches * layers * (passes_s + 2 * passes_s)",
    "head_s": "micro_batches * heads * (head.forward_s + head.backward_s)",
    "recompute_s": "micro_batches * layers * again_s",
    "launch_s": "micro_batches * layers * (max(0, dispatch_forward_s - busy_forward_s)"
    " + max(0, dispatch_backward_s - busy_backward_s))",
    "tensor_s": "micro_batches * layers * exposed * blocks"
    " * ((2 + repeated) * all_reduce.seconds + regather.seconds)",
    "context_s": "micro_batches * layers * (max(0, key_values.seconds - attention.forward_s)"
    " + max(0, 2 * key_values.seconds - attention.backward_s))",
    "expert_s": "micro_batches * layers * (2 + repeated) * 2 * exchange.seconds"
    " * model.moe_layers / model.layers * (1 - expert_overlap)",
    "pipeline_s": "micro_batches * sends * send.seconds * exposed",
    "swap_s": "micro_batches * layers * (max(0, kept_bytes / swap_bytes_s - forward_s)"
    " + max(0, kept_bytes / swap_bytes_s - backward_s))",
    "contention_s": "contention * hidden_s",
    "bubble_s": "waits * mean_s",
    "optimizer_s": "gpu_bytes / gpu_bytes_s",
    "offload_s": "(sent_bytes + streamed_bytes) / pcie_bytes_s + host_bytes / host_bytes_s",
    "overhead_s": "step_s + software.tensor_s * tensors",
    "straggler_s": "running_s * straggler * log2(cluster.nodes)",
}
_EXPOSED = (
    "gather.seconds + scatters * scatter.seconds"
    " - min(cover_forward_s, dp_overlap * gather.seconds)"
    " - scatters * min(cover_backward_s, dp_overlap * scatter.seconds)"
)
_EXPOSED_STREAMED = (
    "scatters * min(2 * gather.seconds + scatter.seconds, (gather.seconds + scatter.seconds)"
    " / (layers + 1) + max(0, gather.seconds - cover_forward_s)"
    " + max(0, gather.seconds + scatter.seconds - cover_backward_s))"
)
_SOURCES = {
    "recompute_s": "Korthikanti et al. 2022",
    "launch_s": "a layer's pass takes no less than the host needs to launch its kernels",
    "tensor_s": "Megatron-LM: two all-reduces a layer and pass, latency + bytes / bandwidth",
    "context_s": "what is longer than the attention that hides it",
    "expert_s": "all-to-all, DeepSeek-V3 section 3.2.2",
    "data_s": "ZeRO, Rajbhandari et al. 2020",
    "bubble_s": "Narayanan et al. 2021, section 2.2",
    "offload_s": "ZeRO-Offload, Ren et al. 2021",
    "overhead_s": "calibration.toml: step_s, and tensor_s for each parameter tensor",
    "straggler_s": "calibration.toml: straggler, per doubling of nodes",
}


def explain_step(estimate: Estimate) -> Term:
    """The step time, part by part."""
    setting, time = estimate.setting, estimate.time
    stage, data, software = time.stage, time.data, setting.software
    layer, universal = stage.layer, setting.constants.universal
    formulas = {**_FORMULAS, "data_s": _EXPOSED_STREAMED if data.streamed else _EXPOSED}
    opened = _opened(estimate)
    parts = [
        term(
            name,
            f"{field} = {formulas[field]}",
            *(time, stage, layer, layer.work, layer.traffic, data, time.update),
            *(software, universal, setting),
            source=_SOURCES.get(field, ""),
            parts=opened.get(field, ()),
            pcie_bytes_s=PCIE_BYTES_S,
            kept_bytes=layer.work.layer.swapped_bytes,
            swap_bytes_s=host_bytes_s(setting),
        )
        for field, name in STEP_PARTS.items()
    ]
    return term(STEP, "total_s", time, parts=parts)


def _opened(estimate: Estimate) -> Mapping[str, list[Term]]:
    """What the inputs of a part's formula are made of, by the part's field."""
    setting, time = estimate.setting, estimate.time
    stage, update, head = time.stage, time.update, time.stage.head
    work, traffic = stage.layer.work, stage.layer.traffic
    logits = term(
        "logits and loss of one micro-batch, forward",
        "forward_s = logits.forward_s + loss_s / 2",
        head,
        parts=[_product(head.logits, head.rates)],
    )
    moved = term(
        "bytes that the update moves",
        "moved = parameters * optimizer_bytes",
        update,
        setting.constants.universal,
        unit="bytes",
        source="parameters of the rank after sharding; calibration.toml: optimizer_bytes",
        moved=update.gpu_bytes or update.host_bytes,
    )
    hidden = term("traffic beside computation", "hidden_s = whole_s - exposed_s", time.data)
    return {
        **_computed(setting, work),
        "head_s": [logits],
        "tensor_s": [
            *collective("all-reduce of a block's activations", traffic.all_reduce),
            *collective("gather of a block's input, backward", traffic.regather),
        ],
        "context_s": collective("gather of keys and values", traffic.key_values),
        "expert_s": collective("exchange of a layer's tokens", traffic.exchange),
        "pipeline_s": collective("send to the next stage", stage.send),
        "data_s": [
            *_state_traffic("parameters gathered", time.data.gather),
            *_state_traffic("gradients reduced", time.data.scatter),
        ],
        "contention_s": [hidden],
        "bubble_s": _waiting(estimate, time),
        "optimizer_s": [moved] if update.gpu_bytes else [],
        "offload_s": [moved] if update.host_bytes else [],
    }


def _computed(setting: Setting, work: LayerWork) -> Mapping[str, list[Term]]:
    """One layer's computation; products by arithmetic or by memory, whichever is longer."""
    products = [_product(each, work.rates) for each in product_works(setting, work.layer)]
    flops = term(
        "attention of one layer, FLOPs forward",
        "flops = 2 * tokens * attended * width",
        work.attention,
        unit="FLOP",
        source="FlashAttention-2 (Dao 2023): backward 2.5 times that",
    )
    core = term(
        "attention of one layer, forward",
        "forward_s = flops / flops_s + scores_s + starts_s",
        work.attention,
        source="calibration.toml; scores_s: unfused scores go through memory",
        parts=[flops],
    )
    passes = term(
        "passes over memory of one layer, forward",
        "passes_s = moved_bytes / hbm_bytes + kernels * kernel_s",
        work,
        work.rates,
        kernels=PASS_KERNELS,
    )
    again = term(
        "recomputation of one layer",
        "again_s = layer.share * (again.attention * projections_s + again.mlp * mlp_s"
        " + again.core * attention.forward_s + again.elementwise * passes_s)",
        work,
        source="shares of the forward pass that run again, in the share of layers that recompute",
    )
    return {
        "gemm_s": [term("products of one layer, forward", "forward_s", work.gemm, parts=products)],
        "attention_s": [core],
        "elementwise_s": [passes],
        "recompute_s": [again],
    }


def _product(work: ProductWork, rates: Rates) -> Term:
    return term(
        work.product.name,
        f"forward_s = copies * (max((2 * m * n * k + wave_flops * min(k, {DEEPEST_WAVE}))"
        " / (gemm_flops * rate), gemm_bytes * (m * k + k * n + m * n) / hbm_bytes) + kernel_s)",
        *(work, work.product, rates),
        source="roofline with part of a wave; calibration.toml",
    )


def _state_traffic(name: str, traffic: StateTraffic) -> list[Term]:
    if not traffic.seconds:
        return []
    equation = (
        "seconds = dense.seconds / gather_rate + calls * dense.latency_s"
        " + experts.seconds + replicas.seconds"
    )
    parts = [
        *collective("dense parameters", traffic.dense),
        *collective("experts", traffic.experts),
        *collective("replicas of a shard", traffic.replicas),
    ]
    return [term(name, equation, traffic, parts=parts)]


def collective(name: str, one: Collective) -> list[Term]:
    """A collective by its bytes, latency and bandwidth; nothing where nobody talks."""
    if not one.seconds:
        return []
    bound = "hypot(inside_bytes / inside_bytes_s, outside_bytes / outside_bytes_s)"
    source = "inside: links of the node, outside: the network, at calibrated bandwidths"
    return [term(name, f"seconds = latency_s + {bound}", one, source=source)]


def _waiting(estimate: Estimate, time: StepTime) -> list[Term]:
    layout, stage = estimate.layout, time.stage
    waits = "micro_batches * (pp - 1)" if layout.schedule == "sequential" else "(pp - 1) / vp"
    layer = term(
        "one layer, both passes",
        "total_s = forward_s + backward_s + tensor_s + context_s + expert_s + swap_s",
        *(stage.layer, stage.layer.work),
    )
    mean = term(
        "one micro-batch on the average stage",
        "mean_s = (model.layers * layer.total_s + head.forward_s + head.backward_s) / pp"
        " + sends * send.seconds * layer.exposed",
        *(stage, layout, estimate.setting),
        parts=[layer],
    )
    return [term("waits", f"waits = {waits}", stage, layout, unit="micro-batches"), mean]
