"""Runs a step's plan on the model: plan in, one sampled token for each chunk that ends one."""

from collections.abc import Sequence

import torch

from ..model.decoder import Decoder
from ..model.torch_ops import TorchOps
from .batch import BatchBuilder
from .kv_cache import KVCache
from .sampler import sample
from .scheduler import Chunk


class Runner:
    """A decoder with the KV cache it writes to."""

    def __init__(self, decoder: Decoder, kv_cache: KVCache) -> None:
        config = decoder.config
        self.decoder = decoder
        self.kv_cache = kv_cache
        self._builder = BatchBuilder(config.heads // config.kv_heads, decoder.device, decoder.dtype)

    @torch.inference_mode()
    def run(self, chunks: Sequence[Chunk]) -> list[int | None]:
        """Compute the chunks; the sampled token of each, `None` where it ends no request's tokens.

        The result is in the order of `chunks`.
        """
        batch = self._builder.build(chunks)
        ops = TorchOps(batch.step, self.decoder.rope)
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
