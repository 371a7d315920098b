"""Whole steps compiled for a GPU that is not here: what the interpreter lets pass may not compile.

Triton needs no device to compile. In a process of its own, without the interpreter, every kernel of
a step is compiled for some compute capability, over tensors that have a shape and no memory.
"""

import pytest
from without_interpreter import output_of


@pytest.mark.parametrize(
    ("arguments", "kernels"),
    [
        (
            "90 qwen3-0.6b bf16 1",
            {"gemv_dense_kernel", "decode_mma_kernel", "_prefill_kernel:bulk"},
        ),
        ("90 qwen3-0.6b int4 1", {"gemv_packed_kernel", "skinny_dot_kernel"}),
        ("90 llama-3.1-8b int4 1,64", {"gemv_packed_kernel", "gemm_kernel:bulk", "_sample_kernel"}),
        ("90 llama-3.1-8b int8 1,4", {"gemv_packed_kernel", "skinny_dot_kernel"}),
        ("90 llama-3.1-8b fp8 64", {"gemm_kernel:bulk", "_norm_kernel", "_gated_kernel"}),
        ("90 llama-3.1-8b bf16 32,48", {"gemm_kernel:bulk", "decode_kernel"}),
        ("90 llama-3.1-8b int8 32,64", {"gemm_kernel:bulk", "decode_kernel"}),
        ("90 qwen3-0.6b bf16 1,64 fp8", {"decode_kernel", "_gather_kernel", "_rotate_kernel"}),
        ("80 llama-3.1-8b int8 2,256", {"skinny_dot_kernel", "gemm_kernel", "decode_kernel"}),
        ("89 llama-3.1-8b fp8 1,16,64", {"gemv_packed_kernel", "gemm_kernel", "_prefill_kernel"}),
        ("89 gemma-3-1b int4 1,16", {"skinny_dot_kernel", "decode_mma_kernel", "_prefill_kernel"}),
    ],
)
def test_a_step_compiles(arguments: str, kernels: set[str]) -> None:
    """For capability, model, precision, rows and an fp8 cache; with the shared memory it needs."""
    compiled = set(output_of("compile_for_gpu.py", *arguments.split()).split())
    assert kernels <= compiled
    assert arguments.startswith("90") or not any(name.endswith(":bulk") for name in compiled)


@pytest.mark.parametrize(
    "arguments",
    [
        "3 128 4 1 0 0",
        "3 128 4 4 0 0",
        "3 128 2 4 1 0",
        "3 128 8 4 1 512",
        "3 64 7 4 0 0",
        "1 256 2 4 1 512",
    ],
)
def test_few_sequences_are_decoded_in_registers(arguments: str) -> None:
    """Those of tiles, head_dim, group, splits, norms and window that are served."""
    output = output_of("compile_decode_mma.py", *arguments.split())
    assert output.split() == ["0"], "bytes of registers went to memory"
