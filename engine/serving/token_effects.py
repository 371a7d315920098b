"""The tokens whose logits a request's edits touch, kept up to date as it generates."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .logit_edits import LogitEdits

_FIRST_SIZE = 64


class TokenEffects:
    """One entry for each token with a bias or, where a penalty looks at it, in the text so far.

    The arrays `[entries]` have room for more: `size` of them count. `seen`: in prompt or output,
    where the repetition penalty asks; `counts`: how often in the output.
    """

    def __init__(self, edits: LogitEdits, prompt_tokens: Sequence[int]) -> None:
        self._edits = edits
        self._place_of: dict[int, int] = {}
        self._read = 0
        self.size = 0
        self.ids: NDArray[np.int64] = np.zeros(_FIRST_SIZE, dtype=np.int64)
        self.bias: NDArray[np.float64] = np.zeros(_FIRST_SIZE, dtype=np.float64)
        self.seen: NDArray[np.bool_] = np.zeros(_FIRST_SIZE, dtype=np.bool_)
        self.counts: NDArray[np.int32] = np.zeros(_FIRST_SIZE, dtype=np.int32)
        for token, value in edits.logit_bias:
            self.bias[self._place(token)] = value
        if edits.repetition_penalty != 1:
            for token in prompt_tokens:
                self.seen[self._place(token)] = True

    def update(self, output_tokens: Sequence[int]) -> None:
        """Take in what was generated since the last call: `output_tokens` are all there are."""
        if self._edits.by_tokens:
            for token in output_tokens[self._read :]:
                place = self._place(token)
                self.seen[place] = True
                self.counts[place] += 1
            self._read = len(output_tokens)

    def _place(self, token: int) -> int:
        place = self._place_of.get(token)
        if place is None:
            place = self._place_of[token] = self.size
            if place == len(self.ids):
                self._grow()
            self.ids[place] = token
            self.size += 1
        return place

    def _grow(self) -> None:
        room = len(self.ids)
        self.ids, self.bias = np.pad(self.ids, (0, room)), np.pad(self.bias, (0, room))
        self.seen, self.counts = np.pad(self.seen, (0, room)), np.pad(self.counts, (0, room))
