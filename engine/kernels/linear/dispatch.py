"""Which kernel multiplies by a layer's weight: one table, read from its top, the first match wins.

Whoever multiplies, plain, behind a norm, gated or added to a residual, asks `dispatch`; so does
what runs before anything is served (`prepare`): the warm-up, the room for unpacked weights and the
trial of cuBLAS' algorithms. It follows from shapes alone. The bounds were measured on an H200;
times are microseconds for the four products of an 8-billion-parameter layer, if not said otherwise.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum
from functools import lru_cache
from typing import NamedTuple

import torch

from ..common.gpu_limits import GpuLimits
from .gemm_launch import ENOUGH_TILES, GemmLaunch, gemm_launch
from .skinny_launch import (
    SKINNY_ROWS,
    SkinnyDotLaunch,
    SkinnyLaunch,
    columns,
    gemv_dense_launch,
    gemv_packed_launch,
    skinny_dot_launch,
)
from .weight import WeightFormat


class Kernel(Enum):
    """What multiplies, and the file that has it."""

    GEMV_DENSE = "gemv_dense.py: one row, without the tensor cores"
    GEMV_PACKED = "gemv_packed.py: one row, the weight straight to the tensor cores' registers"
    SKINNY_DOT = "skinny_dot.py: up to 16 rows, norm, gate and residual fused"
    GEMM = "gemm.py: tiles on the tensor cores, unpacked in registers"
    UNPACK = "dequantize.py, then cuBLAS: the weight is unpacked once for many rows"
    SCALED_MM = (
        "fp8.py: cuBLAS' fp8 product with a scale a row, as cublas_choice.py or torch has it"
    )
    CUBLAS = "cublas_choice.py: cuBLAS by the algorithm that was tried, or by torch's"


class Product(NamedTuple):
    """`[rows, inputs]` activations of `dtype` by a weight `[features, inputs]` in its `format`.

    `dtype` is e4m3 for activations that are rounded already. `group` is of int4 weights. `gated`: a
    gate and up projection whose halves are multiplied. `sampled_only`: the rows of a larger step
    that a token follows, whose number changes from step to step.
    """

    format: WeightFormat
    rows: int
    features: int
    inputs: int
    dtype: torch.dtype = torch.bfloat16
    group: int = 128
    gated: bool = False
    has_residual: bool = False
    sampled_only: bool = False


@dataclass(frozen=True, slots=True)
class Dispatch:
    """The kernel for a product, and its launch; `None` for a library's."""

    kernel: Kernel
    launch: SkinnyLaunch | GemmLaunch | None = None


_BF16 = (torch.bfloat16,)
_HALF = (torch.bfloat16, torch.float16)
_FEATURES_OF_96_TILES = 128 * ENOUGH_TILES
_MANY = 1 << 30


class Rule(NamedTuple):
    """Products by a weight in `format` of `first` to `last` rows, and what else must hold."""

    format: WeightFormat
    first: int
    last: int
    kernel: Kernel
    dtypes: tuple[torch.dtype, ...] | None = None
    least_features: int = 0
    without_residual: bool = False
    sampled_only: bool = False

    def matches(self, product: Product) -> bool:
        """Whether all of it holds."""
        return (
            self.format == product.format
            and self.first <= product.rows <= self.last
            and (self.dtypes is None or product.dtype in self.dtypes)
            and self.least_features <= product.features
            and not (self.without_residual and product.has_residual)
            and self.sampled_only <= product.sampled_only
        )


TABLE = (
    # Kernels of our own would be one for each number of rows: not worth while where it changes.
    Rule("dense", 1, 16, Kernel.CUBLAS, sampled_only=True),
    # fp32 is left to cuBLAS, which multiplies it exactly. A step of the 8B shape takes 4.76 ms by
    # the GEMM against 5.04 for 32 rows, 4.99 against 5.13 for 48 and as long for 64; of 0.6B, which
    # has few features, 1.33 against 1.38 for 32 and 1.61 against 1.51 for 48.
    Rule("dense", 1, 1, Kernel.GEMV_DENSE, _HALF),
    Rule("dense", 2, 16, Kernel.SKINNY_DOT, _HALF),
    Rule("dense", 17, 32, Kernel.GEMM, _BF16),
    Rule("dense", 33, 64, Kernel.GEMM, _BF16, least_features=_FEATURES_OF_96_TILES),
    Rule("dense", 1, _MANY, Kernel.CUBLAS),
    # For 2 rows a step of the 8B shape takes 3.01 ms by the GEMM against 3.20 by the skinny kernel,
    # for 16 rows 3.34 against 3.92. Unpacked 2048 rows take 1288 against 1311.
    Rule("int8", 1, 1, Kernel.GEMV_PACKED, _BF16),
    Rule("int8", 1, 1, Kernel.SKINNY_DOT, _HALF),
    Rule("int8", 1, 4095, Kernel.GEMM),
    Rule("int8", 4096, _MANY, Kernel.UNPACK),
    # Unpacked 512 rows take 437 against 467 in tiles of 128.
    Rule("int4", 1, 1, Kernel.GEMV_PACKED, _BF16),
    Rule("int4", 1, 1, Kernel.SKINNY_DOT, _HALF),
    Rule("int4", 1, 384, Kernel.GEMM),
    Rule("int4", 385, _MANY, Kernel.UNPACK),
    # The GEMM takes 78 against cuBLAS' 108 for 64 rows, 97 against 104 for 128; cuBLAS' wins at 256
    # with 99 against 135. Both keep sums in the tensor cores' own precision, which is 0.3 % off;
    # exact sums would cost 5 to 15 % from 256 rows on.
    Rule("fp8", 1, 1, Kernel.GEMV_PACKED, _BF16),
    Rule("fp8", 1, 1, Kernel.SKINNY_DOT, _HALF),
    Rule("fp8", 65, 128, Kernel.SCALED_MM, least_features=16384, without_residual=True),
    Rule("fp8", 1, 128, Kernel.GEMM),
    Rule("fp8", 129, _MANY, Kernel.SCALED_MM),
)
"""Read from the top. `GEMV_PACKED` is passed over for shapes that it does not take."""

MOST_DENSE_ROWS = max(
    rule.last for rule in TABLE if rule.format == "dense" and rule.kernel is Kernel.GEMM
)
"""Beyond, no kernel of ours multiplies by a dense weight, such as the head's."""

_CUBLAS_TRIED_ROWS = 256


# A prefill step launches from the host, layer after layer.
@lru_cache(maxsize=4096)
def dispatch(product: Product, chip: GpuLimits) -> Dispatch:
    """The kernel that multiplies, and how it is launched on `chip`.

    Raises ValueError for a format without a rule.
    """
    for rule in TABLE:
        if rule.matches(product):
            launch = _launch(rule.kernel, product, chip)
            if launch is not None or rule.kernel is not Kernel.GEMV_PACKED:
                return Dispatch(rule.kernel, launch)
    raise ValueError(f"no rule for {product}")


def _launch(kernel: Kernel, product: Product, chip: GpuLimits) -> SkinnyLaunch | GemmLaunch | None:
    weight_format, rows, features, inputs, dtype, group = product[:6]
    match kernel:
        case Kernel.GEMV_DENSE:
            return gemv_dense_launch(features, inputs, product.gated)
        case Kernel.GEMV_PACKED:
            return gemv_packed_launch(weight_format, features, inputs, group, chip.multiprocessors)
        case Kernel.SKINNY_DOT:
            size = dtype.itemsize
            return skinny_dot_launch(weight_format, rows, features, inputs, group, size, chip)
        case Kernel.GEMM:
            return gemm_launch(weight_format, rows, features, inputs, chip, chip.bulk_tensors)
        case _:
            return None


def tries_cublas_algorithms(product: Product, chip: GpuLimits) -> bool:
    """Whether cuBLAS may have a faster algorithm for a product than the one it would take.

    Over the layer 127 instead of 141 for 96 rows, 131 instead of 143 for 128, 167 instead of 184
    for 224, 174 instead of 180 for 256; single products up to a fifth. At fp8 99 instead of 119 for
    256. Beyond there is nothing to win.
    """
    by_cublas = dispatch(product, chip).kernel in (Kernel.CUBLAS, Kernel.SCALED_MM)
    return by_cublas and product.rows <= _CUBLAS_TRIED_ROWS


def rows_of_each_variant(products: Iterable[Product], most_rows: int, chip: GpuLimits) -> list[int]:
    """Numbers of rows, from 2 on and rising, with which `products` go through all their kernels.

    Whatever kernel one of them needs for 2 to `most_rows` rows, with a residual or without, it
    needs for one of these: so none is compiled in the middle of serving. Libraries load a kernel
    when it is first asked for, so there is one number of each doubling of rows for them too.
    """
    both = [
        product._replace(has_residual=has_residual)
        for product in dict.fromkeys(products)
        for has_residual in (False, True)
    ]
    chosen: list[int] = []
    seen: set[tuple[object, ...]] = set()
    for rows in _candidates(most_rows):
        variants = {
            (place, *variant)
            for place, product in enumerate(both)
            if (variant := _compiled_variant(product._replace(rows=rows), chip)) is not None
        }
        if rows in _LIBRARY_ROWS or not variants <= seen:
            chosen.append(rows)
        seen |= variants
    return chosen


_LIBRARY_ROWS = (96, 192, 384, 768, 1536, 3072)
_ROW_TILE = 32
"""Of the GEMM the smallest: all others are multiples of it."""


def _candidates(most_rows: int) -> list[int]:
    """Rising numbers of rows at which a product may come to another kernel, from 2 on."""
    rule_starts = {rule.first for rule in TABLE}
    tile_starts = range(1, most_rows + 1, _ROW_TILE)
    rows = {*range(2, SKINNY_ROWS + 1), *rule_starts, *tile_starts, *_LIBRARY_ROWS}
    return sorted(number for number in rows if 2 <= number <= most_rows)


def _compiled_variant(product: Product, chip: GpuLimits) -> tuple[object, ...] | None:
    """What tells the kernels apart that are compiled for a product; `None` for a library's."""
    choice = dispatch(product, chip)
    match choice.launch:
        case GemmLaunch() as launch:
            return choice.kernel, replace(launch, splits=0, blocks_per_split=0)
        case SkinnyDotLaunch():
            # Triton compiles another kernel for a number of rows that 16 divides.
            return choice.kernel, columns(product.rows), product.rows % 16 == 0
        case None:
            return (choice.kernel,) if choice.kernel is Kernel.UNPACK else None
        case launch:
            return choice.kernel, launch
