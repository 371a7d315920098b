"""One step of an engine, part by part, with what engines reach.

A step runs tokens through the layers: one of each running sequence while decoding, or the prompts
of new ones. Kernels follow each other, so their times add up; each takes the longer of its
arithmetic and its bytes.
"""

import math
from dataclasses import dataclass

from ..cost.communication import Collective, all_reduce, place
from ..cost.compute import elementwise_bytes
from ..cost.products import DEEPEST_WAVE, Product, layer_products, rates
from .roofline import attention_flops, cache_bytes, head_weights, touched_experts
from .server import Server
from .storage import FOUR_BITS

TILE_ROWS = 128
"""Rows of one tile of a large product; fewer rows take smaller tiles, and lose less of a wave."""
DIRECT_LINK_BYTES_S = 1e11
"""From here on links are direct (NVLink, Infinity Fabric) and a one-shot all-reduce can run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelCost:
    """Kernels that take the longest of arithmetic, bytes and conversion, and their starts.

    flops: with the part of a wave that is lost. conversion_s: weights per second that a weight-only
    kernel converts. starts: how many of them start, in an average layer perhaps a part.
    """

    name: str
    flops: float = 0.0
    flops_s: float = math.inf
    moved_bytes: float = 0.0
    bytes_s: float = math.inf
    weights: float = 0.0
    conversion_s: float = math.inf
    starts: float = 0.0
    kernel_s: float = 0.0

    @property
    def seconds(self) -> float:
        """The longest of the bounds, and the starts."""
        bound = max(self.flops / self.flops_s, self.moved_bytes / self.bytes_s)
        return max(bound, self.weights / self.conversion_s) + self.kernel_s * self.starts


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step. `products` are those of an average layer, the other kernels are of all `layers`.

    A layer makes two all-reduces, each as a `ring` or in `one_shot`, whichever is faster; without
    direct links both are the ring. The host takes `step_s`, and `sequence_s` and `request_s` for
    each of `sequences`.
    """

    layers: int
    products: tuple[KernelCost, ...]
    head: KernelCost
    attention: KernelCost
    elementwise: KernelCost
    starts: KernelCost
    ring: Collective
    one_shot: Collective
    sequences: int
    step_s: float
    sequence_s: float
    request_s: float

    @property
    def layer_products_s(self) -> float:
        """One layer's products."""
        return sum(cost.seconds for cost in self.products)

    @property
    def products_s(self) -> float:
        """All layers' products."""
        return self.layers * self.layer_products_s

    @property
    def communication_s(self) -> float:
        """All-reduces."""
        return 2 * self.layers * min(self.ring.seconds, self.one_shot.seconds)

    @property
    def host_s(self) -> float:
        """What the host does before and after the kernels."""
        return self.step_s + self.sequences * (self.sequence_s + self.request_s)

    @property
    def total_s(self) -> float:
        """All parts, one after the other."""
        return (
            self.products_s
            + self.head.seconds
            + self.attention.seconds
            + self.elementwise.seconds
            + self.starts.seconds
            + self.communication_s
            + self.host_s
        )


def decode_step(server: Server, batch: int, context: float) -> Step:
    """A decode step of `batch` sequences that have `context` tokens each.

    Attention reads their keys and values, or is bound by its arithmetic.
    """
    attention = KernelCost(
        name="attention",
        flops=attention_flops(server, batch, context),
        flops_s=rates(server.setting, server.storage.base_arithmetic).base_flops,
        moved_bytes=cache_bytes(server, batch, context),
        bytes_s=server.copy_bytes_s * server.engine.kv_share,
    )
    return _step(server, batch, batch, attention, request_s=0.0)


def prefill_step(server: Server, prompts: int, prompt_tokens: int) -> Step:
    """The step that computes `prompts` prompts of `prompt_tokens` each, up to their first token.

    Flash attention computes what the causal mask leaves; its rate falls for short prompts.
    """
    model, rows = server.model, float(prompts * prompt_tokens)
    width = (model.query_width + model.value_width) / server.gpus
    half = server.setting.constants.universal.attention_half_tokens
    peak = server.gpu.peak_flops(server.storage.base_arithmetic)
    attention = KernelCost(
        name="attention",
        flops=model.layers * 2.0 * rows * model.attended(prompt_tokens) * width,
        flops_s=peak * server.measured.attention_flash3 * prompt_tokens / (prompt_tokens + half),
    )
    return _step(server, rows, prompts, attention, request_s=server.engine.request_s)


def _step(
    server: Server, rows: float, sequences: int, attention: KernelCost, *, request_s: float
) -> Step:
    """`rows` tokens through the layers, the last of each sequence through the head."""
    model, storage, engine = server.model, server.storage, server.engine
    products = layer_products(server.setting, rows, server.gpus, 1, server.gpus)
    moved = elementwise_bytes(server.setting, rows, server.gpus, False, storage.arithmetic)
    kernels = engine.layer_kernels + (engine.qk_norm_kernels if model.qk_norm else 0.0)
    kernels += engine.fp8_kernels if storage.arithmetic == "fp8" else 0.0
    kernels += engine.moe_kernels * model.moe_layers / model.layers
    ring, one_shot = all_reduces(server, rows)
    return Step(
        layers=model.layers,
        products=tuple(_product_cost(server, product, rows) for product in products),
        head=_head_cost(server, sequences),
        attention=attention,
        elementwise=KernelCost(
            name="norms, activations, residuals",
            moved_bytes=model.layers * moved * (storage.base_bytes / 2),
            bytes_s=server.copy_bytes_s,
        ),
        starts=KernelCost(
            name="kernel starts", starts=model.layers * kernels, kernel_s=engine.kernel_s
        ),
        ring=ring,
        one_shot=one_shot,
        sequences=sequences,
        step_s=engine.step_s,
        sequence_s=engine.sequence_s,
        request_s=request_s,
    )


def _product_cost(server: Server, product: Product, rows: float) -> KernelCost:
    """Experts run as one grouped kernel, which reads those that the tokens meet."""
    model, storage = server.model, server.storage
    m, n, k, copies = product.m, product.n, product.k, product.copies
    present, read, reached = copies, copies, 1.0
    if model.experts is not None and product.name.startswith("experts"):
        present = model.moe_layers / model.layers
        read = present * touched_experts(server, rows)
        reached = server.engine.experts_share
    rate = rates(server.setting, storage.arithmetic)
    wave = rate.wave_flops * min(k, DEEPEST_WAVE) * min(1.0, rows / TILE_ROWS)
    weights = read * k * n
    return KernelCost(
        name=product.name,
        flops=2.0 * m * n * k * copies + wave * present,
        flops_s=rate.gemm_flops * product.rate,
        moved_bytes=storage.weight_bytes * weights + storage.base_bytes * copies * m * (k + n),
        bytes_s=_weights_bytes_s(server) * reached,
        weights=weights,
        conversion_s=_conversion_rate(server) * reached,
        starts=present,
        kernel_s=rate.kernel_s,
    )


def _weights_bytes_s(server: Server) -> float:
    """Bytes per second at which products read."""
    return server.copy_bytes_s * server.engine.weights_share


def _conversion_rate(server: Server) -> float:
    """Weights per second that a weight-only kernel converts on this GPU; infinite for others."""
    if not server.storage.converted:
        return math.inf
    engine = server.engine
    four = server.storage.precision in FOUR_BITS
    return server.gpu.sms * (engine.int4_weights_s if four else engine.int8_weights_s)


def _head_cost(server: Server, rows: float) -> KernelCost:
    """The logits of `rows` tokens on one GPU, in the base precision."""
    rate = rates(server.setting, server.storage.base_arithmetic)
    return KernelCost(
        name="logits",
        flops=2.0 * rows * head_weights(server),
        flops_s=rate.base_flops,
        moved_bytes=server.storage.base_bytes * head_weights(server),
        bytes_s=_weights_bytes_s(server),
        starts=1,
        kernel_s=rate.kernel_s,
    )


def all_reduces(server: Server, rows: float) -> tuple[Collective, Collective]:
    """An all-reduce of `rows` tokens as a ring, and in one shot where links are direct.

    In one shot every GPU reads all others' parts at once: one latency, but more bytes.
    """
    gpus, tensor = server.gpus, 2.0 * rows * server.model.hidden
    ring = all_reduce(server.setting, place(gpus, 1, server.gpu.node_gpus), tensor)
    if gpus == 1 or server.gpu.link_bytes_s < DIRECT_LINK_BYTES_S:
        return ring, ring
    start_s, moved, rate = server.engine.all_reduce_s, (gpus - 1) * tensor, ring.inside_bytes_s
    return ring, ring._replace(
        seconds=start_s + moved / rate, latency_s=start_s, inside_bytes=moved
    )
