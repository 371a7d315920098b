"""The socket that the server listens on."""

import errno
import socket

from ..protocol.errors import BadInputError
from ..protocol.server_options import check_exposure
from ..text.cleaning import clean

BACKLOG = 2048
_KEEP_ALIVE = tuple(
    (getattr(socket, name), value)
    for name, value in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 3))
    if hasattr(socket, name)
)
"""Silent connections are asked for a sign of life after 60 s, and closed without one in 45."""


def listen(host: str, port: int, *, has_key: bool = False) -> socket.socket:
    """A socket that listens on `host`; `port` 0 is any that is free.

    Raises `BadInputError` where the port is taken, the host is none of this machine's, or others
    could reach it and need no key.
    """
    name = clean(host)
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise BadInputError(f"no address of this machine is named {name!r}: {error}") from error
    # What a name stands for is known only here.
    check_exposure(str(address[0]), has_key=has_key)
    listener = socket.socket(family, kind, protocol)
    try:
        # Connections of a server before this one may still be ending.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Connections have what their listener has: a machine that has vanished is noticed.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in _KEEP_ALIVE:
            listener.setsockopt(socket.IPPROTO_TCP, option, value)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise BadInputError(_why(error, name, port)) from error
    return listener


def url_of(listener: socket.socket, *, tls: bool = False) -> str:
    """Where a client on this machine reaches it."""
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    return f"{'https' if tls else 'http'}://{shown}:{port}"


def _why(error: OSError, host: str, port: int) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return f"port {port} is taken: give --port another"
        case errno.EACCES:
            return f"port {port} may not be used by this user: give --port one from 1024 on"
        case errno.EADDRNOTAVAIL:
            return f"{host} is no address of this machine: give --host another"
        case _:
            return f"cannot listen on {host}, port {port}: {error.strerror}"
