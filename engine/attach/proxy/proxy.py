"""The proxy as its owner sees it: a thread that passes bytes, and what it has measured so far."""

import asyncio
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from ...protocol import Frame, Message, SloSpec
from ...protocol.errors import BadInputError
from .book import ExchangeBook
from .connection import Connection
from .figures import ProxyFigures, overlaid
from .sides import ClientSide
from .trace import ProxyTrace
from .upstream import upstream_of

HOST = "127.0.0.1"
MOST_CONNECTIONS = 2_048
"""Clients at once; a further one gets 503."""
SWITCH_INTERVAL_S = 2e-4
"""After so long another thread of this process lets this one go on: what passes must not wait for a
server's metrics to be parsed, which Python lets take 5 ms at a time."""
_BACKLOG = 1_024
_CLOSE_S = 5.0


class Proxy:
    """Passes requests of this machine's programs to the server at `url`, and measures them.

    `start` binds and begins; `reports`, `overlay`, `inspect` and `close` are called from one other
    thread. `trace_path` records what passes, without text. Raises `BadInputError` for a URL that is
    none, and for a file that cannot be made.
    """

    def __init__(
        self,
        url: str,
        port: int,
        *,
        trace_path: Path | None = None,
        tls: ssl.SSLContext | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._upstream = upstream_of(url, tls)
        self._asked_port = port
        self.port = port
        trace = None if trace_path is None else ProxyTrace(trace_path, clock())
        self._book = ExchangeBook(clock, trace)
        self._connections: set[Connection] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._ended: asyncio.Event | None = None

    @property
    def address(self) -> str:
        """Where clients reach it: `127.0.0.1:9000`."""
        return f"{HOST}:{self.port}"

    @property
    def connections(self) -> int:
        """Clients that are connected now."""
        return len(self._connections)

    def start(self) -> None:
        """Listen. Raises `BadInputError` where the port is taken or not allowed."""
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((HOST, self._asked_port))
            listener.listen(_BACKLOG)
        except (OSError, OverflowError) as error:
            listener.close()
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise BadInputError(f"cannot listen on {HOST}:{self._asked_port}: {reason}") from None
        self.port = listener.getsockname()[1]
        sys.setswitchinterval(min(sys.getswitchinterval(), SWITCH_INTERVAL_S))
        self._loop = _new_loop()
        self._thread = threading.Thread(
            target=self._run, args=(self._loop, listener), name="proxy", daemon=True
        )
        self._thread.start()

    def set_slo(self, slo: SloSpec) -> None:
        """Judge what ends by these limits from now on; `overlay` does as well, by its frame's."""
        self._book.set_slo(slo)

    def inspect(self, request_id: int | None) -> None:
        """Report the timeline of one request from now on, until it has ended."""
        self._book.inspect(request_id)

    def reports(self) -> list[Message]:
        """What is to be sent now: requests that ended, those in the system, a timeline."""
        return self._book.reports()

    def figures(self, slo: SloSpec) -> ProxyFigures:
        """All that was measured, judged by these limits."""
        return self._book.figures(slo)

    def overlay(self, frame: Frame) -> Frame:
        """The server's frame with what was measured here."""
        return overlaid(frame, self.figures(frame.slo), self.address)

    def close(self) -> None:
        """End all connections, and write what is left of a trace."""
        loop, thread = self._loop, self._thread
        if loop is not None and thread is not None and thread.is_alive():
            loop.call_soon_threadsafe(self._end)
            thread.join(_CLOSE_S)
        self._loop = self._thread = None
        self._book.close()

    # In the thread

    def _run(self, loop: asyncio.AbstractEventLoop, listener: socket.socket) -> None:
        try:
            loop.run_until_complete(self._serve(listener))
        finally:
            loop.close()

    async def _serve(self, listener: socket.socket) -> None:
        self._ended = asyncio.Event()
        server = await asyncio.get_running_loop().create_server(self._accept, sock=listener)
        await self._ended.wait()
        server.close()
        for connection in list(self._connections):
            connection.abort()
        # Aborted sockets are closed by the next turn of the loop.
        while self._connections:
            await asyncio.sleep(0)

    def _end(self) -> None:
        if self._ended is not None:
            self._ended.set()

    def _accept(self) -> asyncio.Protocol:
        connection = Connection(self._upstream, self._book, self._connections.discard)
        refused = len(self._connections) >= MOST_CONNECTIONS
        self._connections.add(connection)
        return ClientSide(connection, refused=refused)


def _new_loop() -> asyncio.AbstractEventLoop:
    """uvloop where it is: it takes half the time of a message."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()
