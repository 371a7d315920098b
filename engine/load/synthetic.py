"""Prompts of random tokens: of an exact length, the same in every run, and shared as told."""

from collections import OrderedDict
from collections.abc import Set
from dataclasses import dataclass

import numpy as np

from .arrivals import Ints, Stream, random_stream

_KEPT_BLOCKS = 4096
"""Blocks made last, which are kept: 16 MiB of those of 512 tokens."""


@dataclass(frozen=True, slots=True)
class SyntheticPrompt:
    """A prompt to be made: `tokens` of them.

    The leading blocks of `block_tokens` are those that `hash_ids` name: an id always stands for the
    same tokens. What follows is this prompt's own, by `number`. Each `round` of a looped trace has
    tokens of its own, so that it finds nothing of the one before in a cache.
    """

    tokens: int
    number: int
    round: int = 0
    hash_ids: tuple[int, ...] = ()
    block_tokens: int = 0


class SyntheticPrompts:
    """Makes prompts of ordinary tokens: any of `vocabulary` but those of `excluded`, uniformly.

    Two different ids, or numbers, agree in a KV block of 16 tokens with a probability of
    vocabulary^-16: never. Raises ValueError where no token is left.
    """

    def __init__(self, vocabulary: int, excluded: Set[int], seed: int) -> None:
        ids = [each for each in range(vocabulary) if each not in excluded]
        if not ids:
            raise ValueError("every token is excluded")
        self._ids: Ints = np.array(ids, dtype=np.int64)
        self._seed = seed
        self._blocks: OrderedDict[tuple[int, int], Ints] = OrderedDict()

    def make(self, prompt: SyntheticPrompt) -> list[int]:
        """The prompt's tokens `[prompt.tokens]`."""
        made: list[int] = []
        for hash_id in prompt.hash_ids:
            if len(made) >= prompt.tokens:
                break
            made += self._block(prompt, hash_id)[: prompt.tokens - len(made)].tolist()
        if len(made) < prompt.tokens:
            random = random_stream(self._seed, Stream.OWN_TOKENS, prompt.round, prompt.number)
            made += self._draw(random, prompt.tokens - len(made)).tolist()
        return made

    def _block(self, prompt: SyntheticPrompt, hash_id: int) -> Ints:
        key = prompt.round, hash_id
        block = self._blocks.get(key)
        if block is None:
            random = random_stream(self._seed, Stream.SHARED_BLOCKS, *key)
            self._blocks[key] = block = self._draw(random, prompt.block_tokens)
            if len(self._blocks) > _KEPT_BLOCKS:
                self._blocks.popitem(last=False)
        else:
            self._blocks.move_to_end(key)
        return block

    def _draw(self, random: np.random.Generator, count: int) -> Ints:
        drawn: Ints = self._ids[random.integers(len(self._ids), size=count)]
        return drawn
