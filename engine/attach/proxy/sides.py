"""What asyncio tells of the two sockets of a connection, with bounds on what waits to leave."""

import asyncio
from typing import Protocol, cast

MOST_BUFFERED_BYTES = 64 << 10
"""What waits to leave for a peer that does not read; then the other side is not read either."""


class ClientEvents(Protocol):
    """Who hears of a client's socket."""

    def client_made(self, transport: asyncio.Transport, *, refused: bool) -> None: ...
    def client_data(self, data: bytes) -> None: ...
    def client_lost(self) -> None: ...
    def client_closed(self) -> None: ...
    def client_full(self, *, full: bool) -> None: ...


class ServerEvents(Protocol):
    """Who hears of a socket to the server."""

    def server_made(self, transport: asyncio.Transport) -> None: ...
    def server_data(self, data: bytes) -> None: ...
    def server_lost(self, error: Exception | None) -> None: ...
    def server_full(self, *, full: bool) -> None: ...


def _stream(transport: asyncio.BaseTransport) -> asyncio.Transport:
    """What a TCP socket has; uvloop's own derives from nothing of asyncio."""
    return cast("asyncio.Transport", transport)


class ClientSide(asyncio.Protocol):
    """What asyncio tells of a client's socket."""

    def __init__(self, connection: ClientEvents, *, refused: bool) -> None:
        self._connection = connection
        self._refused = refused

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        stream = _stream(transport)
        stream.set_write_buffer_limits(MOST_BUFFERED_BYTES)
        self._connection.client_made(stream, refused=self._refused)

    def data_received(self, data: bytes) -> None:
        self._connection.client_data(data)

    def eof_received(self) -> bool:
        self._connection.client_lost()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._connection.client_closed()

    def pause_writing(self) -> None:
        self._connection.client_full(full=True)

    def resume_writing(self) -> None:
        self._connection.client_full(full=False)


class ServerSide(asyncio.Protocol):
    """What asyncio tells of a socket to the server."""

    def __init__(self, connection: ServerEvents) -> None:
        self._connection = connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        stream = _stream(transport)
        stream.set_write_buffer_limits(MOST_BUFFERED_BYTES)
        self._connection.server_made(stream)

    def data_received(self, data: bytes) -> None:
        self._connection.server_data(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._connection.server_lost(exc)

    def pause_writing(self) -> None:
        self._connection.server_full(full=True)

    def resume_writing(self) -> None:
        self._connection.server_full(full=False)
