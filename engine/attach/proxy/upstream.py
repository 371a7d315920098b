"""The server behind the proxy: where it is, and how it is connected to."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from ...protocol.errors import BadInputError

CONNECT_S = 10.0
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Upstream:
    """`authority` is what Host says to it, `prefix` stands before every path. `url` has no secrets:
    it is shown."""

    url: str
    host: str
    port: int
    authority: bytes
    prefix: bytes
    tls: ssl.SSLContext | None

    async def connect(self, protocol: Callable[[], asyncio.Protocol]) -> None:
        """Connect. Raises `OSError` or `TimeoutError`."""
        loop = asyncio.get_running_loop()
        name = None if self.tls is None else self.host
        async with asyncio.timeout(CONNECT_S):
            transport, _ = await loop.create_connection(
                protocol, self.host, self.port, ssl=self.tls, server_hostname=name
            )
        sock: socket.socket | None = transport.get_extra_info("socket")
        if sock is not None:
            # A host that vanished is noticed though nothing is sent to it.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)


def upstream_of(url: str, tls: ssl.SSLContext | None = None) -> Upstream:
    """The server at a URL: `http://host:port/prefix` or `https://…`, whose certificate is checked
    by `tls`, or by what this machine trusts. Raises `BadInputError`."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise BadInputError(f"no URL of a server: {error}") from None
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
        raise BadInputError("the URL of a server begins with http:// or https:// and names a host")
    if parts.username is not None or parts.password is not None:
        raise BadInputError("a URL is shown and recorded: it must not hold a password")
    host = parts.hostname
    shown = f"[{host}]" if ":" in host else host
    authority = shown if port is None else f"{shown}:{port}"
    if not (authority + parts.path).isascii():
        raise BadInputError("the URL of a server is ASCII: write other letters encoded")
    context = None
    if parts.scheme == "https":
        context = tls or ssl.create_default_context()
    return Upstream(
        url=f"{parts.scheme}://{authority}{parts.path.rstrip('/')}",
        host=host,
        port=_DEFAULT_PORTS[parts.scheme] if port is None else port,
        authority=authority.encode(),
        prefix=parts.path.rstrip("/").encode(),
        tls=context,
    )
