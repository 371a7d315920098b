"""What a step on the device needs of each request, kept in arrays on the host, one entry a request.

A step gathers its rows by index in a few array operations: its cost in Python hardly grows with the
number of sequences, and a block table is written when it grows, not when it is used.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .request import Request, Status
from .step_plan import Chunk

Ints = NDArray[np.int64]


class RequestTable:
    """Entries for `sequences` requests at a time, of up to `width` KV blocks each.

    `blocks` is int32 `[entries, width]`; the others `[entries]`.
    """

    def __init__(self, sequences: int, width: int) -> None:
        # Nobody tells when requests end: twice as many entries, so that they are seldom searched.
        entries = 2 * sequences
        self.blocks = np.zeros((entries, width), dtype=np.int32)
        self.prompt_tokens = np.zeros(entries, dtype=np.int64)
        self.temperature = np.zeros(entries, dtype=np.float32)
        self.top_p = np.ones(entries, dtype=np.float32)
        self.top_k = np.zeros(entries, dtype=np.int32)
        self.noise_seed = np.zeros(entries, dtype=np.uint64)
        self._requests: list[Request | None] = [None] * entries
        self._filled = [0] * entries
        self._preemptions = [0] * entries
        self._index_of: dict[int, int] = {}
        self._free = list(range(entries - 1, -1, -1))

    def indices(self, chunks: Sequence[Chunk]) -> Ints:
        """The entry of each chunk's request, its block table up to date: int64 `[chunks]`."""
        if len(self._free) < len(chunks):
            self._sweep()
        index_of, filled, preemptions = self._index_of, self._filled, self._preemptions
        indices = []
        for chunk in chunks:
            request = chunk.request
            index = index_of.get(request.request_id)
            if index is None:
                index = self._take(request)
            if len(request.block_ids) != filled[index] or request.preemptions != preemptions[index]:
                self._write_blocks(index, request)
            indices.append(index)
        return np.array(indices, dtype=np.int64)

    def _take(self, request: Request) -> int:
        index = self._free.pop()
        sampling = request.sampling
        self._index_of[request.request_id] = index
        self._requests[index] = request
        self._filled[index] = 0
        self._preemptions[index] = request.preemptions
        self.prompt_tokens[index] = len(request.prompt_tokens)
        self.temperature[index] = sampling.temperature_fp32
        self.top_p[index] = sampling.top_p
        self.top_k[index] = sampling.top_k
        self.noise_seed[index] = request.noise_seed % (1 << 64)
        return index

    def _write_blocks(self, index: int, request: Request) -> None:
        written = self._filled[index] if request.preemptions == self._preemptions[index] else 0
        count = len(request.block_ids)
        self.blocks[index, written:count] = request.block_ids[written:]
        self._filled[index] = count
        self._preemptions[index] = request.preemptions

    def _sweep(self) -> None:
        """Free the entries of requests that do not run any more. A ghost simply takes a new one."""
        for index, request in enumerate(self._requests):
            if request is not None and request.status is not Status.RUNNING:
                self._requests[index] = None
                del self._index_of[request.request_id]
                self._free.append(index)
