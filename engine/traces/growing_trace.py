"""A trace that grows while requests end: when they came, how long they were, which blocks of
prompts they shared. No text.

Lines are Mooncake's (`mooncake.py`). Blocks come as hashes, and only the order in which they came
up is written: from it nobody learns a prompt, nor whether some known text was among them.
"""

import heapq
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ..files.growing_file import GrowingFile
from ..protocol import TraceRecording
from ..protocol.errors import BadInputError
from ..text.cleaning import clean
from .mooncake import write_line
from .rows import Measured
from .trace_file import LARGEST_TRACE_BYTES

FLUSH_INTERVAL_S = 1.0
MOST_HELD = 65_536
"""Requests that wait for an older one to end, so that lines are in the order of arrival."""
MOST_HASHES = 1 << 20
"""Blocks that are remembered, the last used ones: some 200 MB."""


class _Ended(NamedTuple):
    arrival_at_s: float
    request_id: int
    prompt_tokens: int
    output_tokens: int
    hashes: Sequence[bytes]
    measured: Measured | None


class GrowingTrace:
    """Writes the requests that end, in the order of their arrival.

    What cannot be written any more stops it and nothing else; `flush` says so once. Raises
    `BadInputError` where the file cannot be made.
    """

    def __init__(self, path: Path, now_s: float) -> None:
        try:
            self._file = GrowingFile(path)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise BadInputError(f"cannot record to {clean(str(path))}: {reason}") from error
        self._began_s: float | None = None
        self._flushed_s = now_s
        self._ended: list[_Ended] = []
        """A heap by arrival."""
        self._numbers: OrderedDict[bytes, int] = OrderedDict()
        self._next_number = 0
        self._requests = 0
        self._stopped: str | None = None

    @property
    def path(self) -> Path:
        """The file, whose name may have a number behind the one asked for."""
        return self._file.path

    @property
    def stopped(self) -> bool:
        """Whether nothing more is written."""
        return self._stopped is not None

    def state(self) -> TraceRecording:
        """How far the recording is."""
        return TraceRecording(
            path=clean(str(self.path)), requests=self._requests, stopped=self._stopped
        )

    def add(
        self,
        arrival_at_s: float,
        request_id: int,
        prompt_tokens: int,
        output_tokens: int,
        hashes: Sequence[bytes],
        measured: Measured | None = None,
    ) -> None:
        """A request ended; `hashes` are one for each block of its prompt."""
        if self._stopped is None:
            ended = _Ended(arrival_at_s, request_id, prompt_tokens, output_tokens, hashes, measured)
            heapq.heappush(self._ended, ended)

    def due(self, now_s: float) -> bool:
        """Whether it is time to `flush`."""
        return now_s - self._flushed_s >= FLUSH_INTERVAL_S and self._stopped is None

    def flush(self, now_s: float, before_s: float) -> str | None:
        """Write what arrived before `before_s`, when the oldest of those in the system came.

        Returns what is to be told where the recording stops.
        """
        self._flushed_s = now_s
        return self._write(before_s)

    def close(self) -> None:
        """Write what is left, and let go of the file."""
        if self._stopped is None:
            self._write(float("inf"))
        self._file.close()

    def _write(self, before_s: float) -> str | None:
        lines: list[bytes] = []
        while self._ended and (
            self._ended[0].arrival_at_s < before_s or len(self._ended) > MOST_HELD
        ):
            lines.append(self._line(heapq.heappop(self._ended)))
        data = b"".join(lines)
        if self._file.bytes + len(data) > LARGEST_TRACE_BYTES:
            return self._stop(f"more than {LARGEST_TRACE_BYTES >> 20} MiB is no trace")
        try:
            if data:
                self._file.append(data)
        except OSError as error:
            return self._stop(error.strerror or str(error))
        self._requests += len(lines)
        return None

    def _line(self, ended: _Ended) -> bytes:
        if self._began_s is None:
            self._began_s = ended.arrival_at_s
        at_ms = max(0, round((ended.arrival_at_s - self._began_s) * 1e3))
        numbers = [self._number(each) for each in ended.hashes]
        return write_line(at_ms, ended.prompt_tokens, ended.output_tokens, numbers, ended.measured)

    def _number(self, block: bytes) -> int:
        """A block's number: the same for the same block, as long as it is remembered."""
        number = self._numbers.get(block)
        if number is not None:
            self._numbers.move_to_end(block)
            return number
        self._numbers[block] = number = self._next_number
        self._next_number += 1
        if len(self._numbers) > MOST_HASHES:
            self._numbers.popitem(last=False)
        return number

    def _stop(self, reason: str) -> str:
        self._stopped = reason
        self._ended.clear()
        self._numbers.clear()
        return f"the recording {clean(str(self.path))} ends here, serving goes on: {reason}"
