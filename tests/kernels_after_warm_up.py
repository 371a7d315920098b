"""Print what steps would compile after `PagedRunner.warm_up`, on a machine without a GPU.

    python kernels_after_warm_up.py MODEL:PRECISION:SEQUENCES …

Triton says which variant of a kernel each launch asks for, and none is compiled. Tensors have a
shape and no memory: a whole one is at address 0, aligned as an allocation is, and a view of it at
its offset, which is what Triton looks at. Prints a line for each model: the kernels of the warm-up,
those of which a later step asked for another variant, with the step, and those that a process which
compiles ahead reads wrong. A child process of tests.
"""

import json
import random
import sys
from collections.abc import Iterator
from dataclasses import astuple, replace

import torch
from compile_for_gpu import META, Gpu
from prodtop.engine.kernels.common.compile_server import KernelWanted, Target, source_of
from prodtop.engine.model import weights
from prodtop.engine.model.decoder import Decoder
from prodtop.engine.model.loading import BUNDLED_FOLDER, CONFIG_NAME
from prodtop.engine.ops.step_layout import DeviceStep, StepLayout
from prodtop.engine.protocol import PrecisionName
from prodtop.engine.serving.kv_cache import BLOCK_TOKENS, KVCache
from prodtop.engine.serving.paged_runner import PagedRunner
from prodtop.engine.serving.settings import EngineSettings
from prodtop.engine.serving.step_builder import TABLE_STEP
from prodtop.engine.serving.step_graphs import empty_step
from prodtop.engine.shape.config_json import load_shape
from prodtop.engine.shape.model_shape import ModelShape
from prodtop.engine.shape.presets import PRESETS
from prodtop.engine.worker.sizing import CUDA_TOKEN_BUDGET
from triton import knobs
from triton.runtime import driver
from triton.runtime.jit import JitFunctionInfo

CONTEXT_TOKENS = 1000
STEPS = 80


class OnPaper(PagedRunner):
    """A runner whose steps go as on a GPU, and compute nothing."""

    def __init__(self, decoder: Decoder, kv_cache: KVCache, settings: EngineSettings) -> None:
        super().__init__(decoder, kv_cache, settings, graphs=False)
        self._on_gpu = self._pdl = True

    @property
    def most_key_tiles(self) -> int:
        gathered = self._context.gathered
        return 0 if gathered is None else gathered.key_tiles

    @torch.inference_mode()
    def step(self, layout: StepLayout, filtered: bool) -> None:
        self._compute(DeviceStep.over(empty_step(layout, META), layout), filtered)


class Variants:
    """The variants of kernels that were asked for: a hook of Triton's, which stops each launch."""

    def __init__(self) -> None:
        self.asked: set[tuple[str, str]] = set()
        self.misread: set[str] = set()
        """Kernels that a process which compiles ahead would compile for other constants."""

    def __call__(self, *, key: str, fn: JitFunctionInfo, **call: object) -> bool:
        if (fn.name, key) not in self.asked:
            self.asked.add((fn.name, key))
            compiled = call["compile"]
            assert isinstance(compiled, dict)
            specialization = compiled["specialization_data"]
            wanted = KernelWanted(str(fn.module), fn.name, specialization, Target("cuda", 90, 32))
            if source_of(wanted)[0].constants != compiled["constants"]:
                self.misread.add(fn.name)
        return True


def mixed_steps(
    settings: EngineSettings, most_key_tiles: int, source: random.Random
) -> Iterator[StepLayout]:
    """Steps with prefill chunks: short and long, alone and beside decode rows, some with drafts,
    some with keys gathered in up to so many tiles."""
    width = -(-settings.context_tokens // BLOCK_TOKENS)
    for _ in range(STEPS):
        sequences = source.randint(1, settings.max_seqs)
        decode = source.choice([0, source.randrange(sequences)])
        least = decode + 2 * (sequences - decode)
        rows = int(least * (settings.token_budget / least) ** source.random())
        drafted = source.random() < 0.3
        yield StepLayout(
            rows=rows,
            sequences=sequences,
            decode=decode,
            sampled=source.randint(decode, min(rows, settings.sampled_rows))
            if drafted
            else source.randint(decode, sequences),
            width=min(TABLE_STEP * source.randint(1, 1 + width // TABLE_STEP), width),
            tiles=source.randint(sequences - decode, rows),
            key_tiles=source.choice([0, source.randint(0, most_key_tiles)]),
        )


def config_of(model: str) -> ModelShape:
    config = load_shape(BUNDLED_FOLDER / CONFIG_NAME) if model == "bundled" else PRESETS[model]
    return replace(config, layers=2)


def decoder_of(config: ModelShape, precision: PrecisionName) -> Decoder:
    with META:
        master = weights.allocate(config, torch.bfloat16)
    return Decoder(master, precision, META, CONTEXT_TOKENS)


def compiled_late(model: str, precision: PrecisionName, max_seqs: int) -> dict[str, object]:
    """One line of what is printed."""
    config = config_of(model)
    decoder = decoder_of(config, precision)
    settings = EngineSettings(max_seqs, CUDA_TOKEN_BUDGET, 64, CONTEXT_TOKENS)
    runner = OnPaper(decoder, KVCache(config, 64, META, decoder.dtype), settings)
    knobs.runtime.jit_cache_hook = variants = Variants()
    runner.warm_up.launch_all()
    warm = frozenset(variants.asked)
    source = random.Random(f"{model} {precision} {max_seqs}")
    late: dict[str, StepLayout] = {}
    for layout in mixed_steps(settings, runner.most_key_tiles, source):
        runner.step(layout, filtered=source.random() < 0.5)
        late |= {name: layout for name, _ in variants.asked - warm if name not in late}
    return {
        "warm": sorted({name for name, _ in warm}),
        "misread": sorted(variants.misread),
        "late": {name: astuple(layout) for name, layout in late.items()},
    }


def main(cases: list[str]) -> None:
    driver.set_active(Gpu(90))
    for case in cases:
        model, precision, max_seqs = case.split(":")
        print(json.dumps(compiled_late(model, PrecisionName(precision), int(max_seqs))), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
