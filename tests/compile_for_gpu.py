"""Compile every kernel of a step for some GPU, on a machine without one.

    python compile_for_gpu.py CAPABILITY PRESET PRECISION ROWS[,ROWS…] [fp8]

Decode steps of so many rows, one with prefill chunks, and at bf16 one with a long chunk, over
tensors that have a shape and no memory, with an fp8 KV cache where that is said. Prints the kernels
that were compiled, and those again that copy tiles in bulk as NAME:bulk; fails where one needs more
shared memory than the GPU has. A child process of tests: no interpreter then.
"""

import sys
from collections import defaultdict
from dataclasses import replace

import torch
from prodtop.engine.kernels.attention.gathered_keys import GatheredKeys
from prodtop.engine.kernels.common.gpu_limits import gpu_limits
from prodtop.engine.kernels.sampling.sampling import (
    HostTokens,
    SamplerScratch,
    SamplerSettings,
    sample_tokens,
)
from prodtop.engine.model import weights
from prodtop.engine.model.decoder import Decoder
from prodtop.engine.ops.step_layout import DeviceStep, StepLayout
from prodtop.engine.ops.triton_ops import OpsContext, TritonOps
from prodtop.engine.protocol import PrecisionName
from prodtop.engine.shape.presets import PRESETS
from triton.backends.compiler import GPUTarget
from triton.backends.driver import DriverBase
from triton.runtime import driver
from triton.runtime.jit import JITFunction

META = torch.device("meta")
CONTEXT_TOKENS = 4096
MIXED = StepLayout(302, 3, 2, 3, 16, tiles=8)
LONG = StepLayout(2050, 3, 2, 3, 256, tiles=128, key_tiles=64)


MULTIPROCESSORS = {80: 108, 86: 84, 89: 142, 90: 132, 100: 148, 120: 170}
"""Of an A100, A40, L40S, H100, B200 and RTX 5090."""
SHARED_KIB = {80: 163, 86: 99, 89: 99, 90: 227, 100: 227, 120: 99}
"""Shared memory a program may have (CUDA C++ Programming Guide, technical specifications)."""


class Gpu(DriverBase):  # type: ignore[misc]  # Triton has no types
    """A driver that says what the GPU of a compute capability would be, and does nothing."""

    def __init__(self, capability: int) -> None:
        self.capability = capability
        self.utils = self

    def get_device_properties(self, device: int) -> dict[str, int]:
        return {
            "multiprocessor_count": MULTIPROCESSORS[self.capability],
            "max_shared_mem": SHARED_KIB[self.capability] * 1024,
        }

    @classmethod
    def is_active(cls) -> bool:
        return True

    def get_device_capability(self, device: int) -> tuple[int, int]:
        return divmod(self.capability, 10)

    def get_current_target(self) -> GPUTarget:
        return GPUTarget("cuda", self.capability, 32)

    def get_active_torch_device(self) -> torch.device:
        return META

    def map_python_to_cpp_type(self, name: str) -> str:
        return "int"

    def get_current_device(self) -> int:
        return 0

    def get_current_stream(self, device: int) -> int:
        return 0

    def get_benchmarker(self) -> None:
        return None


def compile_only(capability: int) -> dict[str, list[bytes]]:
    """Have launches compile for a GPU, and go no further.

    Returns the binaries by kernel, to which each launch adds one; those that copy tiles in bulk are
    there as NAME:bulk too.
    """
    driver.set_active(Gpu(capability))
    binaries: dict[str, list[bytes]] = defaultdict(list)
    launch = JITFunction.run

    def run(
        self: JITFunction, *args: object, grid: object, warmup: bool, **options: object
    ) -> object:
        kernel = launch(self, *args, grid=grid, warmup=True, **options)
        name = self.fn.__name__
        has = gpu_limits(META).shared_bytes
        assert kernel.metadata.shared <= has, f"{name}: {kernel.metadata.shared} of {has} bytes"
        binaries[name].append(kernel.asm["cubin"])
        if "cp.async.bulk.tensor" in kernel.asm["ptx"]:
            binaries[f"{name}:bulk"].append(kernel.asm["cubin"])
        return kernel

    JITFunction.run = run
    return binaries


@torch.inference_mode()
def step(decoder: Decoder, context: OpsContext, layout: StepLayout, kv_dtype: torch.dtype) -> None:
    """One step, from its input to its tokens."""
    words = torch.empty(layout.words, dtype=torch.int32, device=META)
    inputs = DeviceStep.over(words, layout)
    sampled = torch.zeros(layout.sampled, dtype=torch.int64, device=META)
    pdl = not layout.tiles and gpu_limits(META).dependent_launch
    plan = context.decode_plan(layout.decode)
    ops = TritonOps(context, inputs, plan, sampled=sampled, pdl=pdl)
    config = decoder.config
    shape = (64, 16, 2, config.kv_heads, config.head_dim)
    cache = [torch.empty(shape, dtype=kv_dtype, device=META)]
    wanted = inputs.sampled_rows if layout.sampled < layout.rows else None
    hidden = decoder.forward(inputs.tokens, ops, cache, wanted)
    logits = decoder.logits(hidden, ops)
    settings = SamplerSettings(inputs.temperature, inputs.top_p, inputs.top_k, inputs.keys)
    scratch = SamplerScratch.of(layout.sampled, META)
    host = HostTokens(torch.empty(4, layout.sampled, dtype=sampled.dtype), inputs.ring_row)
    for filtered in (False, True):
        sample_tokens(logits, settings, scratch, sampled, host, filtered=filtered)


def main(capability: str, preset: str, precision: str, rows: str, kv_format: str = "") -> None:
    compiled = compile_only(int(capability))
    config = replace(PRESETS[preset], layers=1)
    with META:
        master = weights.allocate(config, torch.bfloat16)
    decoder = Decoder(master, PrecisionName(precision), META, CONTEXT_TOKENS)
    kv_dtype = torch.float8_e4m3fn if kv_format == "fp8" else decoder.dtype
    heads = config.heads, config.kv_heads, config.head_dim
    gathered = GatheredKeys.of(CONTEXT_TOKENS, 2048, *heads, decoder.dtype, META)
    context = OpsContext(config, CONTEXT_TOKENS, META, kv_dtype, gathered)
    decode = [StepLayout(size, size, size, size, 256) for size in map(int, rows.split(","))]
    # Other precisions multiply long chunks in other ways, and attend to them in the same.
    long = [LONG] if precision == "bf16" else []
    for layout in (*decode, MIXED, *long):
        step(decoder, context, layout, kv_dtype)
    print(*sorted(compiled))


if __name__ == "__main__":
    main(*sys.argv[1:])
