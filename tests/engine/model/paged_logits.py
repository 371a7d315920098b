"""Logits as the decoder gives them: ragged batches over shuffled KV blocks, cut at random."""

import random
from collections.abc import Callable, Sequence

import numpy as np
import torch
from checkpoints import VOCABULARY
from prodtop.engine.model.decoder import Decoder
from prodtop.engine.ops.step_layout import DeviceStep
from prodtop.engine.ops.torch_ops import TorchOps
from prodtop.engine.serving.batch import BatchBuilder
from prodtop.engine.serving.kv_cache import BLOCK_TOKENS, KVCache
from prodtop.engine.serving.request import Request, Sampling
from prodtop.engine.serving.step_builder import StepBuilder
from prodtop.engine.serving.step_plan import Chunk
from torch import Tensor

LENGTHS = (1, 2, 15, 16, 17, 31, 40, 70)


def requests_over_shuffled_blocks(
    sequences: Sequence[list[int]], rng: random.Random
) -> tuple[list[Request], int]:
    """A request a sequence, its KV blocks drawn at random, and how many blocks there are."""
    needed = [-(-len(tokens) // BLOCK_TOKENS) for tokens in sequences]
    total = sum(needed) + 2
    free = rng.sample(range(total), total)
    requests = []
    for number, (tokens, blocks) in enumerate(zip(sequences, needed, strict=True)):
        request = Request(number, tokens, 1, Sampling(), 0.0)
        request.block_ids = [free.pop() for _ in range(blocks)]
        requests.append(request)
    return requests, total


StepLogits = Callable[[Sequence[Chunk]], tuple[Sequence[Chunk], Tensor]]
"""Computes a step: its chunks in the order of their rows, and the logits of every row."""


def paged_logits(
    decoder: Decoder,
    sequences: Sequence[list[int]],
    rng: random.Random,
    *,
    sizes: Sequence[int] = (1, 1, 2, 5, 16, 33),
    triton: bool = False,
) -> list[Tensor]:
    """Logits of every position, computed in steps that mix decode rows and chunks at random.

    Chunks are of `sizes` as far as there are tokens left. In plain PyTorch, or with `triton`
    through the kernels of a GPU.
    """
    requests, blocks = requests_over_shuffled_blocks(sequences, rng)
    cache = KVCache(decoder.config, blocks, decoder.device, decoder.dtype)
    make = triton_steps if triton else torch_steps
    compute = make(decoder, cache, len(requests))
    done = [0] * len(requests)
    parts: list[list[Tensor]] = [[] for _ in requests]
    while unfinished := [r for r in requests if done[r.request_id] < r.num_tokens]:
        # Some wait for a step, as under a token budget.
        chosen = rng.sample(unfinished, rng.randint(1, len(unfinished)))
        chunks = []
        for request in chosen:
            start = done[request.request_id]
            left = request.num_tokens - start
            chunks.append(Chunk(request, min(left, rng.choice(sizes)), start))
        ordered, logits = compute(chunks)
        logits = logits.float().cpu()
        first = 0
        for chunk in ordered:
            parts[chunk.request.request_id].append(logits[first : first + chunk.num_tokens])
            done[chunk.request.request_id] += chunk.num_tokens
            first += chunk.num_tokens
    return [torch.cat(rows) for rows in parts]


def torch_steps(decoder: Decoder, cache: KVCache, requests: int) -> StepLogits:
    """Steps as a CPU computes them."""
    config = decoder.config
    builder = BatchBuilder(
        config.heads // config.kv_heads, decoder.device, decoder.dtype, decoder.windows
    )

    def compute(chunks: Sequence[Chunk]) -> tuple[Sequence[Chunk], Tensor]:
        batch = builder.build(chunks)
        ops = TorchOps(batch.step, decoder.rope, decoder.local_rope)
        hidden = decoder.forward(batch.step.tokens, ops, cache.layers)
        return batch.chunks, decoder.logits(hidden, ops)

    return compute


def triton_steps(decoder: Decoder, cache: KVCache, requests: int) -> StepLogits:
    """Steps as a GPU computes them; without one, under Triton's interpreter."""
    # Imported here: most tests need no Triton, and it takes a second.
    from prodtop.engine.ops.triton_ops import OpsContext, TritonOps

    context = OpsContext(decoder.config, decoder.context_tokens, decoder.device, decoder.dtype)
    width = -(-decoder.context_tokens // BLOCK_TOKENS)
    builder = StepBuilder(requests, width, context.prefill_tiles)

    def compute(chunks: Sequence[Chunk]) -> tuple[Sequence[Chunk], Tensor]:
        planned = builder.mixed(chunks, {})
        words = np.zeros(planned.layout.words, dtype=np.int32)
        planned.fill(words)
        step = DeviceStep.over(torch.from_numpy(words).to(decoder.device), planned.layout)
        decode = planned.layout.decode
        ops = TritonOps(context, step, context.decode_plan(decode) if decode else None)
        hidden = decoder.forward(step.tokens, ops, cache.layers)
        return planned.chunks, decoder.logits(hidden, ops)

    return compute


def random_sequences(rng: random.Random, shortest: int = 1, longest: int = 70) -> list[list[int]]:
    choices = [length for length in LENGTHS if shortest <= length <= longest]
    lengths = [rng.choice(choices) for _ in range(rng.randint(1, 5))]
    return [[rng.randrange(VOCABULARY) for _ in range(length)] for length in lengths]


def relative_error(ours: Tensor, exact: Tensor) -> float:
    return float((ours - exact).norm() / exact.norm())


def assert_close(ours: Tensor, theirs: Tensor, tolerance: float) -> None:
    assert theirs.abs().max() > 0.5, "logits near zero would agree with anything"
    torch.testing.assert_close(ours, theirs.float(), rtol=0, atol=tolerance)
