"""A kernel compiled ahead has the name that its launch looks for, whichever was launched first."""

import json

from without_interpreter import output_of

KERNELS = [
    "linear.dequantize:_int8_kernel",
    "linear.gemm_kernel:gemm_kernel",
    "linear.dequantize:_int4_kernel",
    "linear.gemv_packed:gemv_packed_kernel",
    "attention.decode_mma:decode_mma_kernel",
    "attention.decode_kernel:decode_kernel",
    "attention.prefill_attention:_prefill_kernel",
    "linear.fp8:_quantize_kernel",
    "common.norm:_norm_kernel",
]


def names(order: str, kernels: list[str]) -> dict[str, str]:
    told: dict[str, str] = json.loads(output_of("kernel_names.py", order, *kernels))
    return told


def test_the_order_of_launches_changes_no_name() -> None:
    forth = names("settled", KERNELS)
    assert names("settled", KERNELS[::-1]) == forth
    for kernel in KERNELS[:3]:
        assert names("settled", [kernel])[kernel] == forth[kernel]


def test_without_settling_it_would() -> None:
    """Where this fails, Triton is mended, and `kernel_hashes` can go."""
    assert names("unsettled", KERNELS) != names("unsettled", KERNELS[::-1])
