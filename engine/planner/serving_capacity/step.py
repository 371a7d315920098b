"""One step of an engine: the roofline's time, and the time with what engines reach.

A step runs `rows` tokens through the layers: one of each running sequence while decoding, or the
prompts of new ones. Kernels follow each other, so their times add up; each takes the longer of its
arithmetic and its bytes.
"""

from dataclasses import dataclass

from ..communication import place, reduce_s
from ..compute import elementwise_bytes
from ..products import Product, layer_products, rates
from .memory import latent_weights, matrix_weights, token_bytes
from .server import Server
from .storage import cached_tokens

TILE_ROWS = 128
"""Rows of one tile of a large product; fewer rows take smaller tiles, and lose less of a wave."""
DIRECT_LINK_BYTES_S = 1e11
"""From here on links are direct (NVLink, Infinity Fabric) and a one-shot all-reduce can run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Roofline:
    """What one GPU must read and compute in a step, and the time at the vendor's figures."""

    weight_bytes: float
    kv_bytes: float
    flops: float
    memory_s: float
    arithmetic_s: float

    @property
    def step_s(self) -> float:
        """The longer of both (Williams et al. 2009)."""
        return max(self.memory_s, self.arithmetic_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Seconds of one step with what engines reach, part by part."""

    products_s: float
    head_s: float
    attention_s: float
    elementwise_s: float
    kernels_s: float
    communication_s: float
    host_s: float

    @property
    def total_s(self) -> float:
        """All parts, one after the other."""
        return (
            self.products_s
            + self.head_s
            + self.attention_s
            + self.elementwise_s
            + self.kernels_s
            + self.communication_s
            + self.host_s
        )


def touched_experts(server: Server, rows: float) -> float:
    """Experts of a layer that `rows` tokens meet on average, were they routed evenly."""
    experts = server.model.experts
    if experts is None:
        return 0.0
    missed: float = (1.0 - experts.active / experts.count) ** rows
    return experts.count * (1.0 - missed)


def streamed_weights(server: Server, rows: float) -> float:
    """Weights of one GPU's layers that a step of `rows` tokens reads; the head apart."""
    model = server.model
    whole = latent_weights(model)
    read = float(matrix_weights(model) - whole)
    if model.experts is not None:
        idle = model.experts.count - touched_experts(server, rows)
        read -= model.moe_layers * idle * model.expert_weights
    return read / server.gpus + whole


def head_weights(server: Server) -> float:
    """One GPU's part of the output projection."""
    return server.model.vocabulary * server.model.hidden / server.gpus


def decode_roofline(server: Server, batch: int, context: float) -> Roofline:
    """The bound of a decode step of `batch` sequences of `context` tokens each."""
    model, storage = server.model, server.storage
    weights = storage.weight_bytes * streamed_weights(server, batch)
    weights += storage.base_bytes * head_weights(server)
    cache = batch * token_bytes(server) * cached_tokens(model, context)
    products = 2.0 * batch * (model.matmul_parameters / server.gpus + head_weights(server))
    flops = products + attention_flops(server, batch, context)
    return Roofline(
        weight_bytes=weights,
        kv_bytes=cache,
        flops=flops,
        memory_s=(weights + cache) / server.gpu.hbm_bytes_s,
        arithmetic_s=flops / server.gpu.peak_flops(storage.arithmetic),
    )


def attention_flops(server: Server, batch: float, context: float) -> float:
    """Scores and values of one token of each sequence, on one GPU.

    MLA runs them over the latent, with the projections absorbed (DeepSeek-V2, section 2.1.2).
    """
    model = server.model
    width = model.query_width + model.value_width
    if model.latent is not None:
        width = model.heads * (2 * model.latent.kv_rank + model.latent.rope_dim)
    seen = cached_tokens(model, context)
    return 2.0 * batch * model.layers * seen * width / server.gpus


def decode_step(server: Server, batch: int, context: float) -> Step:
    """A decode step of `batch` sequences that have `context` tokens each."""
    engine = server.engine
    cache = batch * token_bytes(server) * cached_tokens(server.model, context)
    rate = rates(server.setting, server.storage.base_arithmetic)
    reading = cache / (server.copy_bytes_s * engine.kv_share)
    attention = max(reading, attention_flops(server, batch, context) / rate.base_flops)
    return Step(
        products_s=products_s(server, batch),
        head_s=head_s(server, batch),
        attention_s=attention,
        elementwise_s=elementwise_s(server, batch),
        kernels_s=kernels_s(server),
        communication_s=communication_s(server, batch),
        host_s=engine.step_s + batch * engine.sequence_s,
    )


def products_s(server: Server, rows: float) -> float:
    """All layers' products of `rows` tokens on one GPU."""
    gpus = server.gpus
    products = layer_products(server.setting, rows, gpus, 1, gpus)
    each = sum(_product_s(server, product, rows) for product in products)
    return server.model.layers * each


def _product_s(server: Server, product: Product, rows: float) -> float:
    """One product of an average layer; experts run as one grouped kernel."""
    model, storage = server.model, server.storage
    m, n, k, copies = product.m, product.n, product.k, product.copies
    present, read = copies, copies
    if model.experts is not None and product.name.startswith("experts"):
        present = model.moe_layers / model.layers
        read = present * touched_experts(server, rows)
    rate = rates(server.setting, storage.arithmetic)
    wave = rate.wave_flops * min(k, 4096) * min(1.0, rows / TILE_ROWS)
    arithmetic = (2.0 * m * n * k * copies + wave * present) / (rate.gemm_flops * product.rate)
    weights = read * k * n
    moved = storage.weight_bytes * weights + storage.base_bytes * copies * m * (k + n)
    memory = moved / (server.copy_bytes_s * server.engine.weights_share)
    converting = weights / conversion_rate(server)
    return max(arithmetic, memory, converting) + rate.kernel_s * present


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
    memory = base * head_weights(server) / (server.copy_bytes_s * server.engine.weights_share)
    return max(arithmetic, memory) + rate.kernel_s


def elementwise_s(server: Server, rows: float) -> float:
    """Norms, residuals, rotary positions and activations of all layers, by their bytes."""
    moved = elementwise_bytes(server.setting, rows, server.gpus, False, server.storage.arithmetic)
    return server.model.layers * moved * (server.storage.base_bytes / 2) / server.copy_bytes_s


def kernels_s(server: Server) -> float:
    """Starts of all kernels beside the products, in all layers."""
    model, engine = server.model, server.engine
    each = engine.layer_kernels
    each += engine.qk_norm_kernels if model.qk_norm else 0.0
    each += engine.fp8_kernels if server.storage.arithmetic == "fp8" else 0.0
    each += engine.moe_kernels * model.moe_layers / model.layers
    return model.layers * each * engine.kernel_s


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


def prefill_step(server: Server, prompts: int, prompt_tokens: int) -> Step:
    """The step that computes `prompts` prompts of `prompt_tokens` each, up to their first token."""
    rows = float(prompts * prompt_tokens)
    engine = server.engine
    return Step(
        products_s=products_s(server, rows),
        head_s=head_s(server, prompts),
        attention_s=_prompt_attention_s(server, rows, prompt_tokens),
        elementwise_s=elementwise_s(server, rows),
        kernels_s=kernels_s(server),
        communication_s=communication_s(server, rows),
        host_s=engine.step_s + prompts * (engine.sequence_s + engine.request_s),
    )


def _prompt_attention_s(server: Server, rows: float, prompt_tokens: int) -> float:
    """Flash attention over the prompts: its rate falls for short ones and for small heads."""
    model, shared = server.model, server.setting.constants.universal
    base = server.storage.base_arithmetic
    share = server.measured.attention_flash3
    width = (model.query_width + model.value_width) / server.gpus
    flops = 2.0 * rows * model.attended(prompt_tokens) * width
    length = prompt_tokens / (prompt_tokens + shared.attention_half_tokens)
    return model.layers * flops / (server.gpu.peak_flops(base) * share * length)
