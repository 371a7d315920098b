"""The screen's end of the search process: asks, and hands on what is found as it comes."""

import asyncio
import contextlib
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable

import msgspec

from ...engine.protocol.options import module_command
from .search_messages import ENCODER, FINDING_DECODER, Finding, SearchRequest

PATIENCE_S = 0.7
"""A process that is in the middle of a long search is ended when it does not turn to a new
request within this time."""
LINE_LIMIT = 1 << 20


class SearchClient:
    """One process, started with the first request and ended with `close`.

    `on_finding` is called for every finding of the newest request, in the event loop; `on_failed`
    with a line where the process ends by itself.
    """

    def __init__(
        self, on_finding: Callable[[Finding], None], on_failed: Callable[[str], None]
    ) -> None:
        self._on_finding = on_finding
        self._on_failed = on_failed
        self._process: Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._asked = 0
        self._answered = 0

    @property
    def newest(self) -> int:
        """The number of the newest request."""
        return self._asked

    async def ask(self, request: SearchRequest) -> None:
        """Ask for a search; what is found for an older request is dropped."""
        self._asked = request.number
        busy = self._process is not None and self._process.returncode is None
        if not busy:
            await self._start()
        self._send(request)
        if busy:
            await asyncio.sleep(PATIENCE_S)
            if self._asked == request.number and self._answered != request.number:
                self._end()
                await self._start()
                self._send(request)

    async def close(self) -> None:
        """End the process, and wait until it is gone."""
        self._asked += 1
        process = self._process
        self._end()
        if process is not None:
            await process.wait()

    async def _start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            *module_command(f"{__package__}.searcher"),
            stdin=PIPE,
            stdout=PIPE,
            stderr=DEVNULL,
            limit=LINE_LIMIT,
        )
        self._reading = asyncio.create_task(self._read(self._process))

    def _send(self, request: SearchRequest) -> None:
        if self._process is not None and self._process.stdin is not None:
            # A process that has just ended is noticed by its reader.
            with contextlib.suppress(ConnectionError, RuntimeError):
                self._process.stdin.write(ENCODER.encode(request) + b"\n")

    def _end(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
        self._process = None

    async def _read(self, process: Process) -> None:
        assert process.stdout is not None
        while line := await process.stdout.readline():
            try:
                finding = FINDING_DECODER.decode(line)
            except msgspec.DecodeError:
                break
            if finding.number == self._asked:
                self._answered = finding.number
                self._on_finding(finding)
        if self._process is process:
            self._process = None
            self._on_failed("the search ended by itself: change a field to start it again")
