"""Which of several kernels is the fast one for a product, from measurements on an H200.

The times below are of the four products of an 8-billion-parameter layer, in microseconds.
"""

from .gemm_launch import ENOUGH_TILES

UNPACK_FROM_ROWS = {"int8": 4096, "int4": 385}
"""From here on a packed weight is unpacked and multiplied by cuBLAS.

int8: 1288 against 1311 unpacked for 2048 rows; int4: 467 against 437 for 512 rows, in tiles of 128.
"""


_MANY_FEATURES = 128 * ENOUGH_TILES
"""So many make enough tiles of 128 features for `gemm_dense`."""


def dense_pays(rows: int, features: int) -> bool:
    """Whether a bf16 product is faster by `gemm_dense` than by the fastest of cuBLAS' algorithms.

    A step of the 8B shape takes 4.76 ms against 5.04 for 32 rows, 4.99 against 5.13 for 48 and as
    long for 64; of 0.6B, which has few features, 1.33 against 1.38 for 32 and 1.61 against 1.51 for
    48.
    """
    return rows <= (64 if features >= _MANY_FEATURES else 32)


def algorithm_matters(rows: int, features: int) -> bool:
    """Whether cuBLAS may have a faster algorithm for a bf16 product than the one it would take.

    Over the layer 127 instead of 141 for 96 rows, 131 instead of 143 for 128, 167 instead of 184
    for 224, 174 instead of 180 for 256; single products up to a fifth. Fewer rows go to
    `gemm_dense`, and with more than 256 there is nothing to win.
    """
    return not dense_pays(rows, features) and rows <= 256


def scaled_product_pays(rows: int, features: int, has_residual: bool) -> bool:
    """Whether an fp8 product is faster by torch's row-wise one than by `gemm_fp8`.

    78 against 108 for 64 rows, 97 against 104 for 128; torch's wins at 256 with 120 against 135,
    and beyond, but adds a residual in a kernel of its own. Both keep sums in the tensor cores' own
    precision, which is 0.3 % off; torch's exact sums would cost 5 to 15 % from 256 rows on.
    """
    if has_residual:
        return rows > 1024
    return rows > 128 or (rows > 64 and features >= 16384)
