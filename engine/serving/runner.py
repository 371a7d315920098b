"""Runs a step's plan on the model: plan in, one sampled token for each chunk that ends one."""

import time
from collections.abc import Sequence
from typing import Protocol

import torch

from ..model.decoder import Decoder
from ..model.torch_ops import TorchOps
from .batch import BatchBuilder
from .kv_cache import KVCache
from .sampler import sample
from .scheduler import Chunk


class StepResult(Protocol):
    """What a step that was launched will bring."""

    def tokens(self) -> list[int | None]:
        """The sampled token of each chunk, `None` where it ends no request's tokens.

        In the order of the chunks. Waits for the device where it has not come so far.
        """
        ...

    def device_s(self) -> float:
        """How long the device worked on it; asked for after the tokens."""
        ...


class Runner(Protocol):
    """A decoder with the KV cache it writes to.

    `ahead` steps may be launched before the tokens of the first are asked for.
    """

    ahead: int
    decoder: Decoder
    kv_cache: KVCache

    def launch(self, chunks: Sequence[Chunk]) -> StepResult:
        """Begin to compute the chunks. Steps run in the order of their launch."""
        ...


class DoneStep:
    """A step that is over already."""

    def __init__(self, tokens: list[int | None], device_s: float) -> None:
        self._tokens = tokens
        self._device_s = device_s

    def tokens(self) -> list[int | None]:
        return self._tokens

    def device_s(self) -> float:
        return self._device_s


class TorchRunner:
    """Computes each step at once, in plain PyTorch: `Runner`."""

    ahead = 0

    def __init__(self, decoder: Decoder, kv_cache: KVCache) -> None:
        config = decoder.config
        self.decoder = decoder
        self.kv_cache = kv_cache
        self._builder = BatchBuilder(
            config.heads // config.kv_heads, decoder.device, decoder.dtype, decoder.windows
        )

    def launch(self, chunks: Sequence[Chunk]) -> DoneStep:
        began_s = time.perf_counter()
        tokens = self._run(chunks)
        return DoneStep(tokens, time.perf_counter() - began_s)

    @torch.inference_mode()
    def _run(self, chunks: Sequence[Chunk]) -> list[int | None]:
        batch = self._builder.build(chunks)
        ops = TorchOps(batch.step, self.decoder.rope, self.decoder.local_rope)
        hidden = self.decoder.forward(batch.step.tokens, ops, self.kv_cache.layers)
        if not batch.sampled:
            return [None] * len(chunks)
        logits = self.decoder.logits(hidden.index_select(0, batch.sampled_rows), ops)
        tokens = sample(logits, [chunk.request for chunk in batch.sampled])
        by_request = {
            chunk.request.request_id: token
            for chunk, token in zip(batch.sampled, tokens, strict=True)
        }
        return [by_request.get(chunk.request.request_id) for chunk in chunks]
