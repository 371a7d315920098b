"""How a step's input lies in memory: all fields in one run of words, copied to the device at once.

The same layout describes the pinned buffer on the host, as numpy arrays to fill in, and the
device's, as tensors that a captured graph can go on reading.

A field lies at whatever word the ones before it leave. Kernels that take one are told not to
specialize on its alignment (`do_not_specialize`): they would be compiled in the middle of serving.
"""

from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True, slots=True)
class StepLayout:
    """A step's size.

    Of its `sequences` the first `decode` have one row each; the others, the prefill chunks, share
    the rest of the `rows` and are computed in `tiles` tiles. `sampled` rows are followed by a new
    token. The block table has `width` blocks of each sequence. Where the chunks' keys are gathered,
    that is done in `key_tiles` tiles.
    """

    rows: int
    sequences: int
    decode: int
    sampled: int
    width: int
    tiles: int = 0
    key_tiles: int = 0

    def spans(self) -> dict[str, slice]:
        """Where each field lies, in words of 4 bytes. Those of 8 come first and are aligned."""
        chunks = self.sequences - self.decode
        counts = {
            "keys": 2 * self.sampled,
            "ring_row": 1,
            "temperature": self.sampled,
            "top_p": self.sampled,
            "top_k": self.sampled,
            "sampled_rows": self.sampled,
            "tokens": self.rows,
            "carried": self.rows,
            "positions": self.rows,
            "slots": self.rows,
            "seq_lens": self.sequences,
            "query_starts": chunks + 1,
            "tiles": 2 * self.tiles,
            "key_tiles": self.key_tiles,
            "key_starts": chunks if self.key_tiles else 0,
            "block_table": self.sequences * self.width,
        }
        ends = accumulate(counts.values())
        return {
            name: slice(end - count, end)
            for (name, count), end in zip(counts.items(), ends, strict=True)
        }

    @property
    def words(self) -> int:
        """Words of 4 bytes that the whole input takes."""
        end: int = self.spans()["block_table"].stop
        return end


@dataclass(frozen=True, slots=True)
class HostStep:
    """A step's input on the host. For the fields see `DeviceStep`."""

    keys: NDArray[np.uint64]
    ring_row: NDArray[np.int32]
    temperature: NDArray[np.float32]
    top_p: NDArray[np.float32]
    top_k: NDArray[np.int32]
    sampled_rows: NDArray[np.int32]
    tokens: NDArray[np.int32]
    carried: NDArray[np.int32]
    positions: NDArray[np.int32]
    slots: NDArray[np.int32]
    seq_lens: NDArray[np.int32]
    query_starts: NDArray[np.int32]
    tiles: NDArray[np.int32]
    key_tiles: NDArray[np.int32]
    key_starts: NDArray[np.int32]
    block_table: NDArray[np.int32]

    @classmethod
    def empty(cls, words: NDArray[np.int32], layout: StepLayout) -> "HostStep":
        """Overwrite `words` with a step whose rows and tiles are of no sequence."""
        words[:] = 0
        step = cls.over(words, layout)
        step.carried[:] = -1
        step.slots[:] = -1
        step.top_p[:] = 1.0
        step.tiles[:] = -1
        step.key_tiles[:] = -1
        return step

    @classmethod
    def over(cls, words: NDArray[np.int32], layout: StepLayout) -> "HostStep":
        """Views of `words` `[layout.words]`, which are left as they are."""
        views = {name: words[span] for name, span in layout.spans().items()}
        return cls(
            keys=views.pop("keys").view(np.uint64),
            temperature=views.pop("temperature").view(np.float32),
            top_p=views.pop("top_p").view(np.float32),
            tiles=views.pop("tiles").reshape(-1, 2),
            block_table=views.pop("block_table").reshape(layout.sequences, layout.width),
            **views,
        )


@dataclass(frozen=True, slots=True)
class DeviceStep:
    """A step's input on the device, int32 where nothing else is said.

    `tokens`, `positions` and `slots` `[rows]` are each row's token, its place in its sequence and
    in the KV cache (-1: a padding row, which is not stored). `carried` `[rows]` is where the
    token is among those that the step before sampled, or -1 where `tokens` has it.
    `seq_lens` `[sequences]` counts the tokens whose keys and values a sequence has with this step;
    `block_table` `[sequences, width]` says where. `query_starts` `[prefill chunks + 1]` are the
    first rows of the chunks, counted from the first chunk's, and `tiles` `[tiles, 2]` their tiles.
    `key_tiles` `[key_tiles]` and `key_starts` `[prefill chunks]`: see `PrefillTiles`.
    `sampled_rows` `[sampled]` are the rows that a token follows, chosen by `temperature` and
    `top_p` (fp32), `top_k` and the noise of `keys` (int64), each `[sampled]`. `ring_row` `[1]` says
    which of the host's rows the tokens are sent to.
    """

    layout: StepLayout
    keys: Tensor
    ring_row: Tensor
    temperature: Tensor
    top_p: Tensor
    top_k: Tensor
    sampled_rows: Tensor
    tokens: Tensor
    carried: Tensor
    positions: Tensor
    slots: Tensor
    seq_lens: Tensor
    query_starts: Tensor
    tiles: Tensor
    key_tiles: Tensor
    key_starts: Tensor
    block_table: Tensor

    @classmethod
    def over(cls, words: Tensor, layout: StepLayout) -> "DeviceStep":
        """Views of `words`, int32 `[layout.words]`, which are left as they are."""
        views = {name: words[span] for name, span in layout.spans().items()}
        return cls(
            layout=layout,
            keys=views.pop("keys").view(torch.int64),
            temperature=views.pop("temperature").view(torch.float32),
            top_p=views.pop("top_p").view(torch.float32),
            tiles=views.pop("tiles").view(-1, 2),
            block_table=views.pop("block_table").view(layout.sequences, layout.width),
            **views,
        )
