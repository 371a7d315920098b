"""The limits that an engine serves within."""

from dataclasses import dataclass

import torch

from ..protocol import SpeculationSpec
from ..protocol.errors import BadInputError
from .speculation import MOST_DRAFTS


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """Limits that hold under every strategy. `kv_blocks` are blocks of `BLOCK_TOKENS` tokens.

    `kv_dtype` is that of cached keys and values, where it is not the one they are computed in.
    """

    max_seqs: int
    token_budget: int
    kv_blocks: int
    context_tokens: int
    kv_dtype: torch.dtype | None = None
    prefill_beside_streams: int | None = None
    """The most prompt tokens of a step that streamed texts wait for; `None`: all of the budget."""
    response_cache_bytes: int = 64 * 2**20
    response_ttl_s: float = 600.0
    speculation: SpeculationSpec | None = None

    def check_max_seqs(self, max_seqs: int) -> None:
        """Raise `BadInputError` for less than one sequence, or more than the engine was built
        for."""
        if not 1 <= max_seqs <= self.max_seqs:
            raise BadInputError(
                f"max-seqs must be from 1 to {self.max_seqs}, for which the engine was built, "
                f"not {max_seqs}"
            )

    @property
    def sampled_rows(self) -> int:
        """The most rows of a step that a token is sampled from: those of drafts come on top."""
        return min(self.token_budget, self.max_seqs + MOST_DRAFTS)
