"""Seconds of each part of a step with what engines reach: the longer of arithmetic and bytes."""

from dataclasses import dataclass

from ..cost.communication import place, reduce_s
from ..cost.compute import elementwise_bytes
from ..cost.products import Product, layer_products, rates
from .roofline import attention_flops, cache_bytes, head_weights, touched_experts
from .server import Server

TILE_ROWS = 128
"""Rows of one tile of a large product; fewer rows take smaller tiles, and lose less of a wave."""
DIRECT_LINK_BYTES_S = 1e11
"""From here on links are direct (NVLink, Infinity Fabric) and a one-shot all-reduce can run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductCost:
    """What one product of an average layer takes, in all its copies.

    flops: with the part of a wave that is lost. moved_bytes: weights read, inputs and outputs.
    present: the share of layers that have it. conversion_s: weights per second that a weight-only
    kernel converts.
    """

    name: str
    flops: float
    flops_s: float
    moved_bytes: float
    bytes_s: float
    weights: float
    present: float
    kernel_s: float

    conversion_s: float

    @property
    def seconds(self) -> float:
        """The longest of arithmetic, bytes and conversion."""
        bound = max(self.flops / self.flops_s, self.moved_bytes / self.bytes_s)
        return max(bound, self.weights / self.conversion_s) + self.kernel_s * self.present


def products_s(server: Server, rows: float) -> float:
    """All layers' products of `rows` tokens on one GPU."""
    each = sum(cost.seconds for cost in product_costs(server, rows))
    return server.model.layers * each


def product_costs(server: Server, rows: float) -> list[ProductCost]:
    """The products of an average layer on one GPU."""
    gpus = server.gpus
    products = layer_products(server.setting, rows, gpus, 1, gpus)
    return [_product_cost(server, product, rows) for product in products]


def _product_cost(server: Server, product: Product, rows: float) -> ProductCost:
    """Experts run as one grouped kernel, which reads those that the tokens meet."""
    model, storage = server.model, server.storage
    m, n, k, copies = product.m, product.n, product.k, product.copies
    present, read, reached = copies, copies, 1.0
    if model.experts is not None and product.name.startswith("experts"):
        present = model.moe_layers / model.layers
        read = present * touched_experts(server, rows)
        reached = server.engine.experts_share
    rate = rates(server.setting, storage.arithmetic)
    wave = rate.wave_flops * min(k, 4096) * min(1.0, rows / TILE_ROWS)
    weights = read * k * n
    return ProductCost(
        name=product.name,
        flops=2.0 * m * n * k * copies + wave * present,
        flops_s=rate.gemm_flops * product.rate,
        moved_bytes=storage.weight_bytes * weights + storage.base_bytes * copies * m * (k + n),
        bytes_s=weights_bytes_s(server) * reached,
        weights=weights,
        present=present,
        kernel_s=rate.kernel_s,
        conversion_s=conversion_rate(server) * reached,
    )


def weights_bytes_s(server: Server) -> float:
    """Bytes per second at which products read."""
    return server.copy_bytes_s * server.engine.weights_share


def conversion_rate(server: Server) -> float:
    """Weights per second that a weight-only kernel converts on this GPU; infinite for others."""
    if not server.storage.converted:
        return float("inf")
    engine = server.engine
    four = server.storage.precision == "int4"
    return server.gpu.sms * (engine.int4_weights_s if four else engine.int8_weights_s)


def head_s(server: Server, rows: float) -> float:
    """The logits of `rows` tokens on one GPU, in the base precision."""
    base = server.storage.base_bytes
    rate = rates(server.setting, server.storage.base_arithmetic)
    arithmetic = 2.0 * rows * head_weights(server) / rate.base_flops
    memory = base * head_weights(server) / weights_bytes_s(server)
    return max(arithmetic, memory) + rate.kernel_s


def decode_attention_s(server: Server, batch: int, context: float) -> float:
    """Reading the keys and values of `batch` sequences, or their arithmetic."""
    reading = cache_bytes(server, batch, context) / cache_bytes_s(server)
    rate = rates(server.setting, server.storage.base_arithmetic)
    return max(reading, attention_flops(server, batch, context) / rate.base_flops)


def cache_bytes_s(server: Server) -> float:
    """Bytes per second at which attention reads the cache."""
    return server.copy_bytes_s * server.engine.kv_share


def prompt_attention_s(server: Server, rows: float, prompt_tokens: int) -> float:
    """Flash attention over prompts of `prompt_tokens`, `rows` tokens in all."""
    return prompt_attention_flops(server, rows, prompt_tokens) / prompt_flops_s(
        server, prompt_tokens
    )


def prompt_attention_flops(server: Server, rows: float, prompt_tokens: int) -> float:
    """Scores and values that the causal mask leaves, on one GPU, in all layers."""
    model = server.model
    width = (model.query_width + model.value_width) / server.gpus
    return model.layers * 2.0 * rows * model.attended(prompt_tokens) * width


def prompt_flops_s(server: Server, prompt_tokens: int) -> float:
    """FLOP/s of flash attention: its rate falls for short prompts."""
    half = server.setting.constants.universal.attention_half_tokens
    peak = server.gpu.peak_flops(server.storage.base_arithmetic)
    return peak * server.measured.attention_flash3 * prompt_tokens / (prompt_tokens + half)


def elementwise_s(server: Server, rows: float) -> float:
    """Norms, residuals, rotary positions and activations of all layers, by their bytes."""
    return moved_elementwise(server, rows) / server.copy_bytes_s


def moved_elementwise(server: Server, rows: float) -> float:
    """Bytes that all layers move outside products and attention."""
    moved = elementwise_bytes(server.setting, rows, server.gpus, False, server.storage.arithmetic)
    return server.model.layers * moved * (server.storage.base_bytes / 2)


def layer_kernels(server: Server) -> float:
    """Kernels of an average layer beside its products."""
    model, engine = server.model, server.engine
    each = engine.layer_kernels
    each += engine.qk_norm_kernels if model.qk_norm else 0.0
    each += engine.fp8_kernels if server.storage.arithmetic == "fp8" else 0.0
    return each + engine.moe_kernels * model.moe_layers / model.layers


def kernels_s(server: Server) -> float:
    """Starts of all kernels beside the products, in all layers."""
    return server.model.layers * layer_kernels(server) * server.engine.kernel_s


def communication_s(server: Server, rows: float) -> float:
    """Two all-reduces a layer among the GPUs of the node, as a ring or in one shot.

    In one shot every GPU reads all others' parts at once: one latency, but more bytes.
    """
    if server.gpus == 1:
        return 0.0
    tensor = 2.0 * rows * server.model.hidden
    group = place(server.gpus, 1, server.gpu.node_gpus)
    each = reduce_s(server.setting, group, tensor)
    if server.gpu.link_bytes_s >= DIRECT_LINK_BYTES_S:
        link = server.gpu.link_bytes_s * server.measured.link
        shot = server.engine.all_reduce_s + (server.gpus - 1) * tensor / link
        each = min(each, shot)
    return 2 * server.model.layers * each
