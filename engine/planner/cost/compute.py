"""Time on one GPU for one micro-batch: matrix products, attention and what memory bandwidth bounds.

FLOPs here are those that the program runs (hardware FLOPs): flash attention skips what the causal
mask hides and computes scores again in its backward pass, unfused attention does neither.
"""

import math
from functools import lru_cache
from typing import NamedTuple

from .hardware import Precision
from .products import Product, ProductWork, Rates, Work, layer_products, rates, total, work_of
from .recomputation import Again, recomputed
from .setting import Setting

PASS_KERNELS = 8
"""Kernels of a layer's forward pass that are bound by memory."""


class LayerLayout(NamedTuple):
    """What of a layout a layer's time depends on, the first six also its traffic's.

    share: of its layers that recompute. swapped_bytes: of activations that go to the host and back.
    """

    micro_batch: int
    tp: int
    cp: int
    ep: int
    expert_tp: int
    sequence_parallel: bool
    recompute: str
    modules: tuple[str, ...]
    share: float
    precision: Precision
    swapped_bytes: float


class AttentionCore(NamedTuple):
    """Scores and values of one layer: forward `flops / flops_s + scores_s + starts_s`.

    width: features of queries and values on a rank. scores_s: scores that go through memory.
    """

    tokens: float
    attended: float
    width: float
    flops: float
    flops_s: float
    scores_s: float
    starts_s: float
    forward_s: float
    backward_s: float


class LayerWork(NamedTuple):
    """One layer for one micro-batch on one GPU, averaged over dense and MoE layers.

    `projections_s` and `mlp_s` are the forward products of the two blocks, `gemm` all products.
    `moved_bytes` is what passes over memory move forward in `passes_s`; backward they take twice as
    long. `again_s` is what the backward pass computes a second time. A pass takes the GPU's time
    (`busy_*`) or the host's to launch its kernels (`dispatch_*`), whichever is longer.

    A search keeps many thousands: numbers, and as few records as will do. `product_works` has the
    products one by one.
    """

    layer: LayerLayout
    rates: Rates
    projections_s: float
    mlp_s: float
    gemm: Work
    attention: AttentionCore
    moved_bytes: float
    passes_s: float
    again: Again
    again_s: float
    busy_forward_s: float
    busy_backward_s: float
    dispatch_forward_s: float
    dispatch_backward_s: float

    @property
    def forward_s(self) -> float:
        """Forward pass."""
        return max(self.busy_forward_s, self.dispatch_forward_s)

    @property
    def backward_s(self) -> float:
        """Backward pass with what it computes again."""
        return max(self.busy_backward_s, self.dispatch_backward_s)

    @property
    def launch_s(self) -> float:
        """What the launches take longer than the GPU's work."""
        return (self.forward_s - self.busy_forward_s) + (self.backward_s - self.busy_backward_s)


def product_works(setting: Setting, layer: LayerLayout) -> list[ProductWork]:
    """The products of an average layer for one micro-batch on one GPU."""
    tokens = layer.micro_batch * setting.sequence / layer.cp
    products = layer_products(setting, tokens, layer.tp, layer.ep, layer.expert_tp)
    rate = rates(setting, layer.precision)
    return [work_of(rate, product) for product in products]


def layer_work(setting: Setting, layer: LayerLayout) -> LayerWork:
    """One average layer for one micro-batch."""
    rate = rates(setting, layer.precision)
    tokens = layer.micro_batch * setting.sequence / layer.cp
    products = product_works(setting, layer)
    projections = total(work for work in products if work.product.block == "attention")
    mlp = total(work for work in products if work.product.block == "mlp")
    gemm = total((projections, mlp))
    core = attention_core(setting, layer.micro_batch, layer.tp, layer.cp)
    moved = elementwise_bytes(setting, tokens, layer.tp, layer.sequence_parallel, layer.precision)
    passes_s = rate.pass_s(moved, PASS_KERNELS)
    software = setting.software
    launch_s = max(software.dispatch_s, software.sharded_dispatch_s if layer.tp > 1 else 0.0)
    dispatch_s = _kernels(setting, layer.ep) * launch_s
    again = recomputed(setting, layer.recompute, layer.modules)
    again_s = again.attention * projections.forward_s + again.mlp * mlp.forward_s
    again_s += again.core * core.forward_s + again.elementwise * passes_s
    again_s *= layer.share
    return LayerWork(
        layer=layer,
        rates=rate,
        projections_s=projections.forward_s,
        mlp_s=mlp.forward_s,
        gemm=gemm,
        attention=core,
        moved_bytes=moved,
        passes_s=passes_s,
        again=again,
        again_s=again_s,
        busy_forward_s=gemm.forward_s + core.forward_s + passes_s,
        busy_backward_s=gemm.backward_s + core.backward_s + 2 * passes_s + again_s,
        dispatch_forward_s=dispatch_s,
        dispatch_backward_s=2 * dispatch_s + layer.share * again.dispatch * dispatch_s,
    )


def _kernels(setting: Setting, ep: int) -> float:
    """Kernels of an average layer's forward pass."""
    model = setting.model
    kernels = setting.software.layer_kernels
    if model.experts is not None:
        local = model.experts.count / ep
        software = setting.software
        routing = software.moe_kernels + software.expert_kernels * local
        kernels += routing * model.moe_layers / model.layers
    return kernels


def attention_core(setting: Setting, micro_batch: int, tp: int, cp: int) -> AttentionCore:
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
    attended = model.attended(setting.sequence, causal=not unfused)
    flops = 2.0 * tokens * attended * width
    if unfused:
        scores = tokens * setting.sequence * model.heads / tp
        byte_s = scores / (setting.cluster.gpu.hbm_bytes_s * measured.hbm)
        rate = peak * measured.gemm_bf16 * shared.attention_unfused
        scores_s, starts_s = 13 * byte_s, 5 * measured.kernel_s
        backward = 2 * flops / rate + 19 * byte_s + 10 * measured.kernel_s
    else:
        share = {
            "flash1": measured.attention_flash1,
            "flash2": measured.attention_flash2,
            "flash3": measured.attention_flash3,
        }[software.attention]
        head = (model.query_width + model.value_width) / (2 * model.heads)
        # A ring attends in pieces: each rank's first and last part against one other rank's.
        piece = setting.sequence / (1 if cp == 1 or software.ulysses else 2 * cp)
        length = piece / (piece + shared.attention_half_tokens)
        narrow = (head / (head + shared.head_dim_half)) / (128 / (128 + shared.head_dim_half))
        rate = peak * share * length * narrow / (1 + software.ring_penalty * math.log2(cp))
        scores_s, starts_s = 0.0, measured.kernel_s
        backward = 2.5 * flops / (rate * shared.attention_backward) + 2 * measured.kernel_s
    forward = flops / rate + scores_s + starts_s
    return AttentionCore(
        tokens, attended, width, flops, rate, scores_s, starts_s, forward, backward
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
    qkv = 2.0 * (model.query_width + 2 * model.kv_width) / tp * model.attention_share
    if model.recurrence is not None:
        qkv += 2.0 * model.recurrence.width / tp * model.recurrent_share
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
    if setting.frozen:
        # Adapters of the attention's projections; their own products are thin.
        moved += software.adapter_bytes * tokens * sum(k + n for k, n in model.attention_gemms) / tp
    recipe = setting.constants.recipes.get(precision)
    if recipe is not None:
        cast = 2 * model.hidden + model.value_width / tp + model.intermediate / tp
        moved += software.fp8_cast * recipe.cast * tokens * cast
    return moved


class HeadWork(NamedTuple):
    """The logits of one micro-batch and their loss, half of it in each pass."""

    rates: Rates
    logits: ProductWork
    loss_s: float
    forward_s: float
    backward_s: float


@lru_cache(maxsize=65_536)
def head_work(
    setting: Setting, micro_batch: int, tp: int, cp: int, precision: Precision
) -> HeadWork:
    """Logits and loss of one micro-batch; fp8 leaves this product in bf16."""
    model = setting.model
    base: Precision = "bf16" if precision in setting.constants.recipes else precision
    rate = rates(setting, base)
    tokens = micro_batch * setting.sequence / cp
    work = work_of(rate, Product("logits", "head", tokens, model.vocabulary / tp, model.hidden))
    loss_s = setting.software.logit_bytes * (tokens * model.vocabulary / tp) / rate.hbm_bytes
    return HeadWork(rate, work, loss_s, work.forward_s + loss_s / 2, work.backward_s + loss_s / 2)
