"""The matrix products of a layer, and what one takes on this GPU."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from .hardware import Precision
from .setting import Setting

_TILE = 128 * 256
"""Output elements of one tile of a large matrix product (cuBLAS, CUTLASS defaults)."""
DEEPEST_WAVE = 4096
"""Inner dimensions beyond this are split over SMs, so that a wave does not get longer."""


class Work(NamedTuple):
    """Seconds of one part of a layer in each pass. A tuple: a search makes many thousands."""

    forward_s: float
    backward_s: float


@dataclass(frozen=True, slots=True)
class Rates:
    """Rates of this GPU under this software, per second."""

    gemm_flops: float
    base_flops: float
    hbm_bytes: float
    kernel_s: float
    wave_flops: float
    gemm_bytes: float
    frozen: bool

    def gemm_s(self, m: float, n: float, k: float, rate: float = 1.0) -> float:
        """Seconds for [m, k] × [k, n]: arithmetic and part of a wave, or memory."""
        flops = 2.0 * m * n * k
        wave = self.wave_flops * min(k, DEEPEST_WAVE)
        arithmetic = (flops + wave) / (self.gemm_flops * rate)
        memory = self.gemm_bytes * (m * k + k * n + m * n) / self.hbm_bytes
        return max(arithmetic, memory) + self.kernel_s

    def pass_s(self, moved_bytes: float, kernels: int = 1) -> float:
        """Seconds to move `moved_bytes` through kernels bound by memory."""
        return moved_bytes / self.hbm_bytes + kernels * self.kernel_s


@lru_cache(maxsize=4096)
def rates(setting: Setting, precision: Precision) -> Rates:
    """The rates that `setting` reaches at `precision`."""
    gpu, measured = setting.cluster.gpu, setting.measured
    recipe = setting.constants.recipes.get(precision)
    base: Precision = "bf16" if recipe else precision
    base_flops = gpu.peak_flops(base) * measured.gemm_bf16
    gemm = base_flops
    if recipe is not None:
        gemm = gpu.peak_flops(precision) * measured.gemm_fp8 * recipe.gemm
    return Rates(
        gemm_flops=gemm,
        base_flops=base_flops,
        hbm_bytes=gpu.hbm_bytes_s * measured.hbm,
        kernel_s=measured.kernel_s,
        wave_flops=measured.gemm_wave * 2.0 * _TILE * gpu.sms,
        gemm_bytes=1.4 if recipe else 4.0 if precision in ("fp32", "tf32") else 2.0,
        frozen=setting.frozen,
    )


class Product(NamedTuple):
    """A linear layer's [m, k] × [k, n], `copies` of it in an average layer.

    `rate` is the share of a plain product's speed that it reaches. `block` is "attention" or "mlp".
    """

    name: str
    block: str
    m: float
    n: float
    k: float
    copies: float = 1.0
    rate: float = 1.0


class ProductWork(NamedTuple):
    """A product with the seconds of its passes."""

    product: Product
    forward_s: float
    backward_s: float


def work_of(rate: Rates, product: Product) -> ProductWork:
    """A linear layer: forward, then the gradients of its input and, unless frozen, its weight."""
    m, n, k, share = product.m, product.n, product.k, product.rate
    forward = rate.gemm_s(m, n, k, share) * product.copies
    backward = rate.gemm_s(m, k, n, share) * product.copies
    if not rate.frozen:
        backward += rate.gemm_s(n, k, m, share) * product.copies
    return ProductWork(product, forward, backward)


def total(parts: Iterable[Work | ProductWork]) -> Work:
    """The passes of all `parts`, one after the other."""
    forward_s = backward_s = 0.0
    for part in parts:
        forward_s += part.forward_s
        backward_s += part.backward_s
    return Work(forward_s, backward_s)


def layer_products(
    setting: Setting, tokens: float, tp: int, ep: int, expert_tp: int
) -> list[Product]:
    """The matrix products of an average layer's forward pass on one GPU.

    Tensor parallelism splits heads and MLP; MLA's latents stay whole. Dense and MoE layers count by
    their share of all layers.
    """
    model = setting.model
    products, present = [], model.attention_share
    *projections, (width, out) = model.attention_gemms
    for k, n in projections:
        if model.latent is not None and n < model.query_width and k == model.hidden:
            products.append(Product("latent", "attention", tokens, n, k, present))
        else:
            name = "queries, keys, values"
            products.append(Product(name, "attention", tokens, n / tp, k, present))
    products.append(Product("attention output", "attention", tokens, out, width / tp, present))
    if model.recurrence is not None:
        *inputs, (width, out) = model.recurrence.gemms
        name, share = model.recurrence.kind, model.recurrent_share
        products += [Product(name, "attention", tokens, n / tp, k, share) for k, n in inputs]
        products.append(Product(f"{name} output", "attention", tokens, out, width / tp, share))
    up = model.mlp_matrices - 1
    dense, sparse = model.dense_layers / model.layers, model.moe_layers / model.layers
    h = model.hidden
    if dense:
        products.append(Product("MLP up", "mlp", tokens, up * model.intermediate / tp, h, dense))
        products.append(Product("MLP down", "mlp", tokens, h, model.intermediate / tp, dense))
    experts = model.experts
    if experts is not None:
        rate = setting.constants.universal.expert_gemm
        local = sparse * experts.count / ep
        # Tensor-parallel ranks hold different tokens once they are dispatched to experts.
        rows = tokens * experts.active * ep * expert_tp / (experts.count * tp)
        inner = experts.intermediate / expert_tp
        wide = model.expert_width
        products.append(Product("experts up", "mlp", rows, up * inner, wide, local, rate))
        products.append(Product("experts down", "mlp", rows, wide, inner, local, rate))
        products.append(Product("router", "mlp", tokens / tp, experts.count, h, sparse))
        if experts.width:
            products.append(Product("to experts' width", "mlp", tokens, 2 * wide, h, sparse))
        if experts.shared_intermediate:
            shared = experts.shared_intermediate / tp
            products.append(Product("shared experts up", "mlp", tokens, up * shared, h, sparse))
            products.append(Product("shared experts down", "mlp", tokens, h, shared, sparse))
    return products
