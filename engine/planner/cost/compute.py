"""Time on one GPU for one micro-batch: matrix products, attention and what memory bandwidth bounds.

FLOPs here are those that the program runs (hardware FLOPs): flash attention skips what the causal
mask hides and computes scores again in its backward pass, unfused attention does neither.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

from .hardware import Precision
from .layout import Layout
from .products import Product, Work, layer_products, rates, total, work_of
from .recomputation import recomputed, recomputed_layers
from .setting import Setting


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerWork:
    """One layer for one micro-batch on one GPU, averaged over dense and MoE layers.

    `dispatch_forward_s` is the host's time to launch the layer's kernels. `again_*` is what the
    backward pass computes a second time.
    """

    gemm: Work
    attention: Work
    elementwise: Work
    dispatch_forward_s: float
    dispatch_backward_s: float
    again_s: float
    again_dispatch_s: float

    @property
    def forward_s(self) -> float:
        """Forward pass: the GPU's time or the host's, whichever is longer."""
        busy = self.gemm.forward_s + self.attention.forward_s + self.elementwise.forward_s
        return max(busy, self.dispatch_forward_s)

    @property
    def backward_s(self) -> float:
        """Backward pass with what it computes again."""
        busy = self.gemm.backward_s + self.attention.backward_s + self.elementwise.backward_s
        return max(busy + self.again_s, self.dispatch_backward_s + self.again_dispatch_s)


def layer_work(setting: Setting, layout: Layout) -> LayerWork:
    """One average layer for one micro-batch under `layout`."""
    return _layer_work(
        setting,
        layout.micro_batch,
        layout.tp,
        layout.cp,
        layout.ep,
        layout.expert_tp,
        layout.sequence_parallel,
        layout.recompute,
        layout.recompute_modules,
        recomputed_layers(setting, layout),
        layout.precision,
    )


@lru_cache(maxsize=65_536)
def _layer_work(
    setting: Setting,
    micro_batch: int,
    tp: int,
    cp: int,
    ep: int,
    expert_tp: int,
    sequence_parallel: bool,
    recompute: str,
    modules: tuple[str, ...],
    share: float,
    precision: Precision,
) -> LayerWork:
    software = setting.software
    rate = rates(setting, precision)
    tokens = micro_batch * setting.sequence / cp
    products = layer_products(setting, tokens, tp, ep, expert_tp)
    attention_gemm = total(work_of(rate, p) for p in products if p.block == "attention")
    mlp = total(work_of(rate, p) for p in products if p.block == "mlp")
    core = attention_core(setting, micro_batch, tp, cp)
    moved = elementwise_bytes(setting, tokens, tp, sequence_parallel, precision)
    passes = moved / rate.hbm_bytes + 8 * rate.kernel_s
    gemm = total((attention_gemm, mlp))
    elementwise = Work(forward_s=passes, backward_s=2 * passes)
    dispatch = _kernels(setting, ep) * software.dispatch_s
    again = recomputed(setting, recompute, modules)
    again_s = again.attention * attention_gemm.forward_s + again.mlp * mlp.forward_s
    again_s += again.core * core.forward_s + again.elementwise * elementwise.forward_s
    return LayerWork(
        gemm=gemm,
        attention=core,
        elementwise=elementwise,
        dispatch_forward_s=dispatch,
        dispatch_backward_s=2 * dispatch,
        again_s=share * again_s,
        again_dispatch_s=share * again.dispatch * dispatch,
    )


def _kernels(setting: Setting, ep: int) -> float:
    """Kernels of an average layer's forward pass."""
    model, shared = setting.model, setting.constants.universal
    kernels = setting.software.layer_kernels
    if model.experts is not None:
        local = model.experts.count / ep
        routing = shared.moe_kernels + shared.expert_kernels * local
        kernels += routing * model.moe_layers / model.layers
    return kernels


def attention_core(setting: Setting, micro_batch: int, tp: int, cp: int) -> Work:
    """Scores and values: 2 products forward, 4 backward, or 5 with flash's second scores.

    Flash rates fall for short sequences and small heads; the backward pass reaches a part of the
    forward's rate (FlashAttention-2, Dao 2023). Unfused attention also moves the scores through
    memory (the kernels of Korthikanti et al. 2022, section 4.1; 2 bytes a score, 1 a mask). Forward
    13 bytes each: written; softmax 4; dropout 5; read for the values. Backward 19: read for the
    values' gradient, their own gradient written; dropout 5; softmax 6; read for queries and keys.
    """
    model, software = setting.model, setting.software
    shared, measured = setting.constants.universal, setting.measured
    peak = setting.cluster.gpu.peak_flops("bf16")
    tokens = micro_batch * setting.sequence / cp
    width = (model.query_width + model.value_width) / tp
    unfused = software.attention == "unfused"
    flops = 2.0 * tokens * model.attended(setting.sequence, causal=not unfused) * width
    if unfused:
        scores = tokens * setting.sequence * model.heads / tp
        byte_s = scores / (setting.cluster.gpu.hbm_bytes_s * measured.hbm)
        rate = peak * measured.gemm_bf16 * shared.attention_unfused
        return Work(
            forward_s=flops / rate + 13 * byte_s + 5 * measured.kernel_s,
            backward_s=2 * flops / rate + 19 * byte_s + 10 * measured.kernel_s,
            forward_flops=flops,
            backward_flops=2 * flops,
        )
    share = {
        "flash1": measured.attention_flash1,
        "flash2": measured.attention_flash2,
        "flash3": measured.attention_flash3,
    }[software.attention]
    head = (model.query_width + model.value_width) / (2 * model.heads)
    length = setting.sequence / (setting.sequence + shared.attention_half_tokens)
    narrow = (head / (head + shared.head_dim_half)) / (128 / (128 + shared.head_dim_half))
    rate = peak * share * length * narrow / (1 + shared.context_penalty * math.log2(cp))
    return Work(
        forward_s=flops / rate + measured.kernel_s,
        backward_s=2.5 * flops / (rate * shared.attention_backward) + 2 * measured.kernel_s,
        forward_flops=flops,
        backward_flops=2.5 * flops,
    )


def elementwise_bytes(
    setting: Setting, tokens: float, tp: int, sequence_parallel: bool, precision: Precision
) -> float:
    """Bytes that a layer's forward pass moves outside products and attention.

    Per token, in elements of 2 bytes: the norms (read, write) and two residual additions (two read,
    one written) over the hidden size, split only by sequence parallelism; rotary positions and
    layout changes over queries, keys and values; the activation (SwiGLU reads two, writes one). A
    MoE layer also gathers its tokens for the experts and scatters them back. FP8 adds casts.
    """
    model, software = setting.model, setting.software
    whole = (6.0 + 2.0 * model.norms_per_layer) * model.hidden / (tp if sequence_parallel else 1)
    qkv = 2.0 * (model.query_width + 2 * model.kv_width) / tp
    act = 3.0 if model.gated_mlp else 2.0
    inner = act * model.intermediate / tp * (model.dense_layers / model.layers)
    experts = model.experts
    if experts is not None:
        routed = experts.active * (act * experts.intermediate + 4.0 * model.hidden)
        active = routed + act * experts.shared_intermediate
        inner += active / tp * (model.moe_layers / model.layers)
    elements = software.elementwise * (whole + qkv + inner)
    if model.dropout:
        elements += model.hidden / (tp if sequence_parallel else 1)
    moved = 2.0 * tokens * elements
    if precision == "fp8":
        cast = 2 * model.hidden + model.value_width / tp + model.intermediate / tp
        moved += software.fp8_cast * tokens * cast
    return moved


@lru_cache(maxsize=65_536)
def head_work(setting: Setting, micro_batch: int, tp: int, cp: int, precision: Precision) -> Work:
    """The logits of one micro-batch and their loss; fp8 leaves this product in bf16."""
    model = setting.model
    base: Precision = "bf16" if precision == "fp8" else precision
    rate = rates(setting, base)
    tokens = micro_batch * setting.sequence / cp
    logit = Product("logits", "head", tokens, model.vocabulary / tp, model.hidden)
    product = work_of(rate, logit)
    logits = tokens * model.vocabulary / tp
    loss = setting.software.logit_bytes * logits / rate.hbm_bytes
    return Work(
        forward_s=product.forward_s + loss / 2,
        backward_s=product.backward_s + loss / 2,
        forward_flops=product.forward_flops,
        backward_flops=product.backward_flops,
    )
