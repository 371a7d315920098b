"""Hidden states and logits of whole texts at one precision, without an engine around them."""

import torch
from torch import Tensor

from ..model.decoder import Decoder
from ..ops.torch_attention import AttentionGroup
from ..ops.torch_ops import StepInput, TorchOps

BLOCK_TOKENS = 16
ROWS_AT_ONCE = 256
"""Rows whose logits are held at a time: 128 MiB in fp32 for a vocabulary of 131,072."""


class TextScorer:
    """Runs texts of up to `longest` tokens through a decoder, in plain PyTorch.

    The layers are those that serve; attention and norms are the reference that the kernels are
    tested against. It has a KV cache of its own: what is served meanwhile is not touched.
    """

    def __init__(self, decoder: Decoder, longest: int) -> None:
        config = decoder.config
        self.decoder = decoder
        self.longest = longest
        blocks = -(-longest // BLOCK_TOKENS)
        shape = (blocks, BLOCK_TOKENS, 2, config.kv_heads, config.head_dim)
        self.kv = [
            torch.zeros(shape, device=decoder.device, dtype=decoder.dtype)
            for _ in range(config.layers)
        ]

    @torch.inference_mode()
    def hidden(self, tokens: list[int], first: int = 0) -> Tensor:
        """Hidden states `[len(tokens) - first, hidden]` of the tokens from `first` on, ready for
        `logits`. Raises ValueError for a text that is empty or longer than `longest`."""
        if not 0 < len(tokens) <= self.longest:
            raise ValueError(f"a text must have 1 to {self.longest} tokens, not {len(tokens)}")
        ids, ops = self.prepare(tokens)
        wanted = torch.arange(first, len(tokens), device=self.decoder.device) if first else None
        return self.decoder.forward(ids, ops, self.kv, wanted)

    def prepare(self, tokens: list[int]) -> tuple[Tensor, TorchOps]:
        """A text's token ids `[tokens]` on the device, and the operations over its rows; those
        are the same for any text as long."""
        step = self._step(tokens)
        return step.tokens, TorchOps(step, self.decoder.rope, self.decoder.local_rope)

    @torch.inference_mode()
    def logits(self, hidden: Tensor) -> Tensor:
        """fp32 logits `[rows, vocabulary]` of hidden states `[rows, hidden]`."""
        empty = torch.zeros(0, dtype=torch.int64, device=self.decoder.device)
        return self.decoder.logits(
            hidden, TorchOps(StepInput(empty, empty, empty, []), None)
        ).float()

    def greedy(self, tokens: list[int], count: int, stop: frozenset[int]) -> list[int]:
        """The likeliest continuation: up to `count` tokens, none after one of `stop`."""
        generated: list[int] = []
        while len(generated) < min(count, self.longest - len(tokens)):
            whole = [*tokens, *generated]
            logits = self.logits(self.hidden(whole, len(whole) - 1))
            generated.append(int(logits[-1].argmax()))
            if generated[-1] in stop:
                break
        return generated

    def _step(self, tokens: list[int]) -> StepInput:
        """One sequence, all of whose tokens are new, in the blocks 0, 1, 2 …"""
        device, config = self.decoder.device, self.decoder.config
        count = len(tokens)
        positions = torch.arange(count, device=device)
        blocks = -(-count // BLOCK_TOKENS)
        keys = torch.arange(blocks * BLOCK_TOKENS, device=device)
        # Query heads that share a KV head lie one after the other: see `paged_attention`.
        queries = positions.repeat_interleave(config.heads // config.kv_heads).unsqueeze(1)
        hidden = keys > queries
        group = AttentionGroup(
            sequences=1,
            queries=count,
            first=0,
            rows=None,
            block_table=torch.arange(blocks, device=device),
            mask=self._mask(hidden),
            scatter=None,
            windowed={
                window: self._mask(hidden | (keys <= queries - window))
                for window in self.decoder.windows
            },
        )
        ids = torch.tensor(tokens, device=device)
        return StepInput(ids, positions, positions, [group])

    def _mask(self, hidden: Tensor) -> Tensor:
        mask = torch.zeros(hidden.shape, device=hidden.device, dtype=self.decoder.dtype)
        return mask.masked_fill_(hidden, float("-inf")).unsqueeze(0).unsqueeze(0)
