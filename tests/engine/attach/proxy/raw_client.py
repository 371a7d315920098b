"""A client of raw bytes for tests of the proxy."""

import socket
import struct
import time
from collections.abc import Callable

from prodtop.engine.attach.proxy.proxy import HOST, Proxy
from scripted_upstream import DEADLINE_S


def connect(proxy: Proxy, *, receive_bytes: int | None = None) -> socket.socket:
    """A connection; `receive_bytes` is how much the kernel takes for who does not read."""
    sock = socket.socket()
    sock.settimeout(DEADLINE_S)
    if receive_bytes is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    sock.connect((HOST, proxy.port))
    return sock


def read_until(sock: socket.socket, end: bytes) -> bytes:
    """All that comes, up to and with `end`."""
    got = bytearray()
    while not got.endswith(end):
        data = sock.recv(1 << 16)
        assert data, f"closed before {end!r}: {bytes(got[-200:])!r}"
        got += data
    return bytes(got)


def read_all(sock: socket.socket) -> bytes:
    """All that comes until the connection is closed. Raises `ConnectionResetError`."""
    got = bytearray()
    while data := sock.recv(1 << 16):
        got += data
    return bytes(got)


def answer(proxy: Proxy, data: bytes) -> bytes:
    """Send, and read all until the proxy closes."""
    with connect(proxy) as sock:
        sock.sendall(data)
        return read_all(sock)


def reset(sock: socket.socket) -> None:
    """Vanish, as a process that is killed with unread data."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def wait(condition: Callable[[], object], what: str) -> None:
    """Wait until it holds."""
    deadline_s = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline_s, f"it never came: {what}"
        time.sleep(0.005)
