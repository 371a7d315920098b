"""Requests over connections that are kept open: each streams one answer at a time."""

import asyncio
import ssl
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from ..attach.asking.addresses import host_and_port
from ..attach.asking.fetch import trust_of
from ..text.cleaning import clean
from .event_reader import Answer, EventReader
from .target import Asked, Target

READ_BYTES = 1 << 16
CONNECT_S = 10.0
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Connections:
    """Sends requests to one target, each over a connection that no other uses meanwhile."""

    def __init__(
        self, target: Target, *, timeout_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`timeout_s` is for the whole of an answer."""
        self._target = target
        self._timeout_s = timeout_s
        self._clock = clock
        self._free: deque[Streams] = deque()
        self._tls: ssl.SSLContext | None = None
        if target.url.startswith("https:"):
            self._tls = trust_of(target.ca_file)

    async def ask(self, asked: Asked) -> Answer:
        """The answer; whatever goes wrong is told in it, and never raised."""
        reader = EventReader()
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._exchange(self._target.request(asked), reader)
        except TimeoutError:
            reader.answer.error = f"no whole answer within {self._timeout_s:g} s"
        except (OSError, ValueError, ssl.SSLError) as error:
            reader.answer.error = clean(str(error))[:200] or type(error).__name__
        answer = reader.answer
        if answer.error is None and answer.status != 200:
            answer.error = f"answers {answer.status}"
        elif answer.error is None and not answer.finished:
            answer.error = "the answer was cut off"
        return answer

    async def _exchange(self, request: bytes, reader: EventReader) -> None:
        streams, fresh = await self._connected()
        try:
            try:
                await self._talk(streams, request, reader)
            except OSError:
                # A server may close a connection that was kept; then nothing of it has come.
                if fresh or reader.answer.status:
                    raise
                _close(streams)
                streams = await self._connect()
                await self._talk(streams, request, reader)
        except BaseException:
            _close(streams)
            raise
        if reader.keeps_alive:
            self._free.append(streams)
        else:
            _close(streams)

    async def _talk(self, streams: Streams, request: bytes, reader: EventReader) -> None:
        incoming, outgoing = streams
        outgoing.write(request)
        await outgoing.drain()
        while not reader.ended:
            data = await incoming.read(READ_BYTES)
            if not data:
                raise ConnectionResetError("the server closed the connection")
            reader.take(data, self._clock())

    async def _connected(self) -> tuple[Streams, bool]:
        while self._free:
            streams = self._free.pop()
            if not streams[0].at_eof() and not streams[1].is_closing():
                return streams, False
            _close(streams)
        return await self._connect(), True

    async def _connect(self) -> Streams:
        host, port = host_and_port(self._target.url)
        async with asyncio.timeout(CONNECT_S):
            return await asyncio.open_connection(host, port, ssl=self._tls, limit=READ_BYTES)

    async def close(self) -> None:
        """Close those that are kept."""
        while self._free:
            _, outgoing = streams = self._free.pop()
            _close(streams)
            with suppress(OSError, ssl.SSLError):
                await outgoing.wait_closed()


def _close(streams: Streams) -> None:
    streams[1].close()
