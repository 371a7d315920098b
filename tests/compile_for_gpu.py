"""Compile every kernel of a step for compute capability 9.0, on a machine without a GPU.

    python compile_for_hopper.py PRESET PRECISION ROWS[,ROWS…]

Decode steps of so many rows, and one with prefill chunks, over tensors that have a shape and no
memory. Prints the kernels that were compiled. A child process of tests: no interpreter then.
"""

import sys
from collections import defaultdict
from dataclasses import replace

import torch
from prodtop.engine.kernels.gpu.carry import carry_tokens
from prodtop.engine.kernels.gpu.sampling import SamplerScratch, SamplerSettings, sample_tokens
from prodtop.engine.model import weights
from prodtop.engine.model.decoder import Decoder
from prodtop.engine.model.presets import PRESETS
from prodtop.engine.model.step_layout import DeviceStep, StepLayout
from prodtop.engine.model.triton_ops import OpsContext, TritonOps
from prodtop.engine.protocol import PrecisionName
from triton.backends.compiler import GPUTarget
from triton.backends.driver import DriverBase
from triton.runtime import driver
from triton.runtime.jit import JITFunction

META = torch.device("meta")
CONTEXT_TOKENS = 4096
MIXED = StepLayout(302, 3, 2, 3, 16, tiles=8)


class Hopper(DriverBase):  # type: ignore[misc]  # Triton has no types
    """A driver that says what the GPU would be, and does nothing."""

    def __init__(self) -> None:
        pass

    @classmethod
    def is_active(cls) -> bool:
        return True

    def get_current_target(self) -> GPUTarget:
        return GPUTarget("cuda", 90, 32)

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


def compile_only() -> dict[str, list[bytes]]:
    """Let launches compile and go no further.

    Returns the binaries by kernel, to which each launch adds one.
    """
    binaries: dict[str, list[bytes]] = defaultdict(list)
    launch = JITFunction.run

    def run(
        self: JITFunction, *args: object, grid: object, warmup: bool, **options: object
    ) -> object:
        kernel = launch(self, *args, grid=grid, warmup=True, **options)
        binaries[self.fn.__name__].append(kernel.asm["cubin"])
        return kernel

    JITFunction.run = run
    return binaries


@torch.inference_mode()
def step(decoder: Decoder, context: OpsContext, layout: StepLayout) -> None:
    """One step, from its input to its tokens."""
    words = torch.empty(layout.words, dtype=torch.int32, device=META)
    inputs = DeviceStep.over(words, layout)
    sampled = torch.zeros(layout.sampled, dtype=torch.int64, device=META)
    carry_tokens(inputs.tokens, inputs.carried, sampled)
    ops = TritonOps(context, inputs, context.decode_plan(layout.decode), pdl=layout is not MIXED)
    config = decoder.config
    shape = (64, 16, 2, config.kv_heads, config.head_dim)
    cache = [torch.empty(shape, dtype=decoder.dtype, device=META)]
    hidden = decoder.forward(inputs.tokens, ops, cache)[: layout.sampled]
    logits = decoder.logits(hidden, ops)
    settings = SamplerSettings(inputs.temperature, inputs.top_p, inputs.top_k, inputs.keys)
    scratch = SamplerScratch.of(layout.sampled, META)
    for filtered in (False, True):
        sample_tokens(logits, settings, scratch, sampled, filtered=filtered)


def main(preset: str, precision: str, rows: str) -> None:
    driver.set_active(Hopper())
    compiled = compile_only()
    config = replace(PRESETS[preset], layers=1)
    with META:
        master = weights.allocate(config, torch.bfloat16)
    decoder = Decoder(master, PrecisionName(precision), META, CONTEXT_TOKENS)
    context = OpsContext(config, CONTEXT_TOKENS, META, decoder.dtype)
    decode = [StepLayout(size, size, size, size, 256) for size in map(int, rows.split(","))]
    for layout in (*decode, MIXED):
        step(decoder, context, layout)
    print(*sorted(compiled))


if __name__ == "__main__":
    main(*sys.argv[1:])
