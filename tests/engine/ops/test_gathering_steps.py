"""Steps that gather their keys, through whole layers on a GPU, beside steps that do not."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch

pytest.importorskip("triton")

from prodtop.engine.kernels.attention.gather_plan import GatherRule
from prodtop.engine.kernels.attention.gathered_keys import GatheredKeys
from prodtop.engine.model.decoder import Decoder
from prodtop.engine.model.dummy import dummy_weights
from prodtop.engine.ops.step_layout import DeviceStep
from prodtop.engine.ops.triton_ops import OpsContext, TritonOps
from prodtop.engine.protocol import PrecisionName
from prodtop.engine.serving.kv_cache import BLOCK_TOKENS, KVCache
from prodtop.engine.serving.request import Request, Sampling
from prodtop.engine.serving.step_builder import StepBuilder
from prodtop.engine.serving.step_plan import Chunk
from prodtop.engine.shape.presets import PRESETS
from torch import Tensor

DEVICE = torch.device("cuda", 0)
CONTEXT_TOKENS = 4096
BUDGET = 2048
LENGTHS = [2500, 700, 90]
STEPS = [[(0, 1500), (2, 89)], [(0, 900), (1, 700), (2, 1)], [(0, 100)]]
"""For each step the requests, and how many tokens of each."""


def requests() -> list[Request]:
    made, block = [], 0
    for number, length in enumerate(LENGTHS):
        tokens = [(7919 * number + 31 * place) % 4096 for place in range(length)]
        request = Request(number, tokens, 1, Sampling(), 0.0)
        count = -(-length // BLOCK_TOKENS)
        request.block_ids = list(range(block, block + count))[::-1]
        block += count
        made.append(request)
    return made


class Steps:
    """The steps of one decoder over a cache of its own."""

    def __init__(self, decoder: Decoder, kv_dtype: torch.dtype, *, gather: bool) -> None:
        config = decoder.config
        blocks = sum(-(-length // BLOCK_TOKENS) for length in LENGTHS)
        self.decoder = decoder
        self.cache = KVCache(config, blocks, decoder.device, kv_dtype)
        heads = config.heads, config.kv_heads, config.head_dim
        gathered = None
        if gather:
            gathered = GatheredKeys.of(
                CONTEXT_TOKENS, BUDGET, *heads, decoder.dtype, decoder.device
            )
            if gathered is None:
                pytest.skip("this GPU gathers no keys")
        self.context = OpsContext(config, CONTEXT_TOKENS, decoder.device, kv_dtype, gathered)
        width = -(-CONTEXT_TOKENS // BLOCK_TOKENS)
        self.builder = StepBuilder(len(LENGTHS), width, self.context.prefill_tiles)
        self.steps: list[tuple[DeviceStep, TritonOps]] = []

    def plan(self, made: Sequence[Request]) -> int:
        """Put all steps onto the device. How many of them gather."""
        done = [0] * len(made)
        for parts in STEPS:
            chunks = [Chunk(made[number], count, done[number]) for number, count in parts]
            for number, count in parts:
                done[number] += count
            built = self.builder.mixed(chunks, {})
            words = np.zeros(built.layout.words, dtype=np.int32)
            built.fill(words)
            on_device = torch.from_numpy(words).to(self.decoder.device)
            step = DeviceStep.over(on_device, built.layout)
            decode = built.layout.decode
            plan = self.context.decode_plan(decode) if decode else None
            self.steps.append((step, TritonOps(self.context, step, plan)))
        return sum(step.layout.key_tiles > 0 for step, _ in self.steps)

    @torch.inference_mode()
    def hidden(self) -> Tensor:
        """Of every row of every step."""
        return torch.cat(
            [self.decoder.forward(step.tokens, ops, self.cache.layers) for step, ops in self.steps]
        ).float()


@pytest.mark.gpu
@pytest.mark.parametrize("kv_dtype", [torch.bfloat16, torch.float8_e4m3fn], ids=str)
@pytest.mark.parametrize("preset", ["qwen3-0.6b", "gemma-3-1b"])
def test_steps_that_gather_compute_what_paged_ones_do_also_when_captured(
    preset: str, kv_dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(PRESETS[preset], layers=2, vocabulary=4096)
    decoder = Decoder(
        dummy_weights(config, torch.bfloat16), PrecisionName.BF16, DEVICE, CONTEXT_TOKENS
    )
    made = requests()
    paged = Steps(decoder, kv_dtype, gather=False)
    assert paged.plan(made) == 0
    expected = paged.hidden()
    monkeypatch.setattr(GatherRule, "pays", lambda *_: True)
    gathering = Steps(decoder, kv_dtype, gather=True)
    assert gathering.plan(made) == len(STEPS)
    eager = gathering.hidden()
    assert float((eager - expected).norm() / expected.norm()) < 0.02
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = gathering.hidden()
    with torch.inference_mode():
        captured.fill_(float("nan"))
    graph.replay()
    torch.cuda.synchronize()
    assert float((captured - eager).norm() / eager.norm()) < 1e-3
