"""What a step did, for the measurements: its tokens, its rows, and the work it needed at least."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch

from ..metrics.collector import Metrics
from ..metrics.roofline import attended_positions, step_bytes, step_flops
from ..model.decoder import Decoder
from ..shape.model_shape import ModelShape
from .step_plan import Chunk


@dataclass(frozen=True, slots=True)
class StepCounter:
    """Counts the steps of a model of this shape at one precision.

    A step reads `matmul_bytes` of weights, and `kv_token_bytes` for each token of context.
    """

    shape: ModelShape
    matmul_bytes: int
    kv_token_bytes: int

    @classmethod
    def of(cls, decoder: Decoder, kv_dtype: torch.dtype) -> Self:
        """One for steps of `decoder` over keys and values of `kv_dtype`."""
        shape = decoder.config
        kv_token_bytes = shape.kv_elements_per_token * kv_dtype.itemsize
        return cls(shape, decoder.matmul_bytes, kv_token_bytes)

    def report(
        self,
        metrics: Metrics,
        chunks: Sequence[Chunk],
        *,
        generated: int,
        cached_tokens: int,
        device_s: float,
        now_s: float,
    ) -> None:
        """Report that a step of `chunks` gave `generated` tokens.

        The chunks have their accepted drafts alone: the rows of the others were no work that the
        model needs, as a ghost's is none. `device_s` and `now_s` are in seconds.
        """
        ghosts = sum(chunk.ghost for chunk in chunks)
        tokens = sum(chunk.num_tokens for chunk in chunks)
        decoded = sum(
            chunk.num_tokens == 1 and not chunk.ghost and chunk.request.num_output_tokens > 1
            for chunk in chunks
        )
        decoded += sum(chunk.num_tokens for chunk in chunks if chunk.drafts)
        context = sum(chunk.start + chunk.num_tokens for chunk in chunks)
        attended = sum(
            attended_positions(chunk.start, chunk.num_tokens) for chunk in chunks if not chunk.ghost
        )
        metrics.on_step(
            now_s,
            prefill_tokens=tokens - ghosts - decoded,
            decode_tokens=generated,
            cached_tokens=cached_tokens,
            rows=len(chunks),
            ghost_rows=ghosts,
            bytes_read=step_bytes(self.matmul_bytes, self.kv_token_bytes, context),
            flops=step_flops(
                self.shape, tokens=tokens - ghosts, attended=attended, logit_rows=generated
            ),
            device_s=device_s,
        )
