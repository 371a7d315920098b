"""What a step on the device needs of each request, kept in arrays on the host, one slot a request.

A step gathers its rows by slot in a few array operations: its cost in Python hardly grows with the
number of sequences, and a block table is written when it grows, not when it is used.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .request import Request, Status
from .step_plan import Chunk

Ints = NDArray[np.int64]


class SlotTable:
    """Slots for `sequences` requests at a time, of up to `width` KV blocks each.

    `blocks` is int32 `[slots, width]`; the others `[slots]`.
    """

    def __init__(self, sequences: int, width: int) -> None:
        # Requests leave without a word: twice as many slots, so that they are seldom searched.
        slots = 2 * sequences
        self.blocks = np.zeros((slots, width), dtype=np.int32)
        self.prompt_tokens = np.zeros(slots, dtype=np.int64)
        self.temperature = np.zeros(slots, dtype=np.float32)
        self.top_p = np.ones(slots, dtype=np.float32)
        self.top_k = np.zeros(slots, dtype=np.int32)
        self.noise_seed = np.zeros(slots, dtype=np.uint64)
        self._holder: list[Request | None] = [None] * slots
        self._filled = [0] * slots
        self._preemptions = [0] * slots
        self._slot_of: dict[int, int] = {}
        self._free = list(range(slots - 1, -1, -1))

    def place(self, chunks: Sequence[Chunk]) -> Ints:
        """The slot of each chunk's request, its block table up to date. `[chunks]`"""
        if len(self._free) < len(chunks):
            self._sweep()
        slot_of, filled, preemptions = self._slot_of, self._filled, self._preemptions
        slots = []
        for chunk in chunks:
            request = chunk.request
            slot = slot_of.get(request.request_id)
            if slot is None:
                slot = self._take(request)
            if len(request.block_ids) != filled[slot] or request.preemptions != preemptions[slot]:
                self._write_blocks(slot, request)
            slots.append(slot)
        return np.array(slots, dtype=np.int64)

    def _take(self, request: Request) -> int:
        slot = self._free.pop()
        sampling = request.sampling
        self._slot_of[request.request_id] = slot
        self._holder[slot] = request
        self._filled[slot] = 0
        self._preemptions[slot] = request.preemptions
        self.prompt_tokens[slot] = len(request.prompt_tokens)
        self.temperature[slot] = sampling.temperature
        self.top_p[slot] = sampling.top_p
        self.top_k[slot] = sampling.top_k
        self.noise_seed[slot] = request.noise_seed % (1 << 64)
        return slot

    def _write_blocks(self, slot: int, request: Request) -> None:
        kept = self._filled[slot] if request.preemptions == self._preemptions[slot] else 0
        count = len(request.block_ids)
        self.blocks[slot, kept:count] = request.block_ids[kept:]
        self._filled[slot] = count
        self._preemptions[slot] = request.preemptions

    def _sweep(self) -> None:
        """Free the slots of requests that do not run any more. A ghost simply takes a new one."""
        for slot, request in enumerate(self._holder):
            if request is not None and request.status is not Status.RUNNING:
                self._holder[slot] = None
                del self._slot_of[request.request_id]
                self._free.append(slot)
