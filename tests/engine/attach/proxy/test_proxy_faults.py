"""Peers that vanish, break off, stop reading, or send what is no HTTP."""

import asyncio
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress

import pytest
from prodtop.engine.attach.proxy import connection as proxy_connection
from prodtop.engine.attach.proxy import proxy as proxy_module
from prodtop.engine.attach.proxy.heads import LONGEST_HEAD_BYTES
from prodtop.engine.attach.proxy.proxy import HOST, Proxy
from prodtop.engine.protocol import FinishedRequest, FinishedSample
from raw_client import answer, connect, read_all, read_until, reset, wait
from scripted_upstream import LAST_CHUNK, STREAM_HEAD, Upstream, Visit, chat, chunk, event, proxied

HELLO = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


def ended(proxy: Proxy, number: int = 1) -> list[FinishedRequest]:
    """The requests that ended, once there are so many."""
    found: list[FinishedRequest] = []

    def collected() -> bool:
        for report in proxy.reports():
            if isinstance(report, FinishedSample):
                found.extend(report.requests)
        return len(found) >= number

    wait(collected, f"{number} requests that ended")
    return found


def unchanged(value: Callable[[], int], looks: int = 60) -> Callable[[], bool]:
    """Whether it was the same the last so many times one looked, and not 0."""
    seen: deque[int] = deque(maxlen=looks)

    def stands_still() -> bool:
        seen.append(value())
        return len(seen) == looks and len(set(seen)) == 1 and seen[0] > 0

    return stands_still


def taken_of(client: socket.socket, body: memoryview) -> int:
    """How much of it can be sent to somebody who does not read."""
    taken = 0
    with suppress(TimeoutError):
        while taken < len(body):
            taken += client.send(body[taken : taken + (1 << 20)])
    return taken


async def endless(visit: Visit) -> None:
    """A stream without end, until the proxy leaves."""
    await visit.request()
    leaving = asyncio.ensure_future(visit.until_left())
    await visit.send(STREAM_HEAD)
    while not leaving.done():
        await visit.send(chunk(event("x")))
        await asyncio.sleep(0.005)


async def silent(visit: Visit) -> None:
    """An answer that never begins."""
    await visit.head()
    await visit.until_left()


@pytest.mark.parametrize("vanish", [reset, socket.socket.close], ids=["killed", "closed"])
@pytest.mark.parametrize(
    ("script", "until"),
    [(endless, b"\n\n\r\n"), (silent, b"")],
    ids=["in its answer", "before its answer"],
)
def test_a_client_that_vanishes_is_aborted_at_the_server(
    script: object, until: bytes, vanish: object
) -> None:
    assert callable(script)
    assert callable(vanish)
    with proxied(script) as (proxy, upstream):
        client = connect(proxy)
        client.sendall(chat())
        wait(lambda: upstream.visits and upstream.visits[0].received, "the request")
        if until:
            read_until(client, until)
        vanish(client)
        wait(upstream.visits[0].lost.is_set, "the server's connection to end")
        (request,) = ended(proxy)
        assert request.failed
        assert request.finish_reason == "client left"
        wait(lambda: not proxy.connections, "both sides to be gone")


def test_a_client_that_vanishes_within_its_request_is_aborted() -> None:
    with proxied(silent) as (proxy, upstream):
        client = connect(proxy)
        client.sendall(chat()[:-5])
        wait(lambda: upstream.visits and upstream.visits[0].received, "the head")
        reset(client)
        wait(upstream.visits[0].lost.is_set, "the server's connection to end")
        assert ended(proxy)[0].finish_reason == "client left"


def _reset(visit: Visit) -> None:
    sock = visit.writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    visit.writer.transport.abort()


@pytest.mark.parametrize("resets", [False, True], ids=["closes", "resets"])
@pytest.mark.parametrize(
    "begun",
    [
        STREAM_HEAD + chunk(event("x")),
        STREAM_HEAD + b"ff\r\nhalf a chunk",
        b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf",
    ],
    ids=["between chunks", "in a chunk", "of a length"],
)
def test_an_answer_that_breaks_off_breaks_off_for_the_client(begun: bytes, resets: bool) -> None:
    leave = threading.Event()

    async def script(visit: Visit) -> None:
        await visit.request()
        await visit.send(begun)
        while not leave.is_set():
            await asyncio.sleep(0.005)
        if resets:
            _reset(visit)

    with proxied(script) as (proxy, _), connect(proxy) as client:
        client.sendall(chat())
        got = read_until(client, begun[-8:])
        assert got == begun
        leave.set()
        assert read_all(client) == b"", "nothing is made up to end it"
        (request,) = ended(proxy)
        assert request.failed
        assert request.finish_reason == "server closed"


def test_a_reset_of_an_answer_that_its_end_ends_is_no_end() -> None:
    leave = threading.Event()

    async def script(visit: Visit) -> None:
        await visit.request()
        await visit.send(b"HTTP/1.0 200 OK\r\n\r\nhalf")
        while not leave.is_set():
            await asyncio.sleep(0.005)
        _reset(visit)

    with proxied(script) as (proxy, _), connect(proxy) as client:
        client.sendall(chat())
        read_until(client, b"half")
        leave.set()
        with pytest.raises(ConnectionResetError):
            read_all(client)
        assert ended(proxy)[0].failed


def test_a_server_that_is_not_there_is_said() -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        url = f"http://{HOST}:{taken.getsockname()[1]}"
        proxy = Proxy(url, 0)
        proxy.start()
        try:
            got = answer(proxy, chat())
            assert got.startswith(b"HTTP/1.1 502 Bad Gateway")
            assert url.encode() in got
            assert ended(proxy)[0].failed
        finally:
            proxy.close()


@pytest.mark.parametrize(
    "sent", [b"garbage\r\n\r\n", b"", b"HTTP/1.1 200 OK\r\n" + b"x" * (LONGEST_HEAD_BYTES + 9)]
)
def test_what_is_no_answer_becomes_502(sent: bytes) -> None:
    async def script(visit: Visit) -> None:
        await visit.request()
        await visit.send(sent)

    with proxied(script) as (proxy, _):
        assert answer(proxy, chat()).startswith(b"HTTP/1.1 502")
        assert ended(proxy)[0].failed


def test_an_answer_that_nobody_asked_for_ends_the_connection() -> None:
    async def script(visit: Visit) -> None:
        await visit.request()
        await visit.send(HELLO + HELLO)
        await visit.until_left()

    with proxied(script) as (proxy, upstream), connect(proxy) as client:
        client.sendall(chat())
        assert read_all(client) == HELLO
        wait(upstream.visits[0].lost.is_set, "the server's connection to end")


def test_a_request_again_on_a_connection_that_the_server_left_is_the_clients_to_repeat() -> None:
    async def script(visit: Visit) -> None:
        await visit.request()
        await visit.send(HELLO)
        await visit.request()

    with proxied(script) as (proxy, _), connect(proxy) as client:
        client.sendall(chat())
        read_until(client, b"ok")
        client.sendall(chat())
        assert read_all(client) == b"", "no answer of the proxy's own"
        assert [each.failed for each in ended(proxy, 2)] == [False, True]


def test_a_client_that_does_not_read_holds_its_server_and_nothing_else() -> None:
    content = b"data: " + b"x" * (1 << 20) + b"\n\n"
    pieces = 48
    sent = 0

    async def script(visit: Visit) -> None:
        nonlocal sent
        await visit.request()
        await visit.send(STREAM_HEAD)
        for _ in range(pieces):
            await visit.send(chunk(content))
            sent += 1
        await visit.send(LAST_CHUNK)
        await visit.until_left()

    with proxied(script) as (proxy, _), connect(proxy, receive_bytes=64 << 10) as slow:
        slow.sendall(chat())
        wait(unchanged(lambda: sent), "a server that waits")
        assert sent < pieces // 2
        whole = STREAM_HEAD + chunk(content) * pieces + LAST_CHUNK
        assert read_until(slow, LAST_CHUNK) == whole


def test_a_server_that_does_not_read_holds_its_client() -> None:
    leave = threading.Event()

    async def script(visit: Visit) -> None:
        await visit.head()
        while not leave.is_set():
            await asyncio.sleep(0.005)
        await visit.body(64 << 20)
        await visit.send(HELLO)
        await visit.until_left()

    with proxied(script) as (proxy, _), connect(proxy) as client:
        head = b"POST /v1/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % (64 << 20)
        body = memoryview(bytes(64 << 20))
        client.sendall(head)
        client.settimeout(0.3)
        taken = taken_of(client, body)
        assert taken < len(body) // 2
        leave.set()
        client.settimeout(20.0)
        client.sendall(body[taken:])
        assert read_until(client, b"ok") == HELLO


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * (LONGEST_HEAD_BYTES + 1), 431),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\r\n", 501),
        (b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n", 400),
    ],
)
def test_what_is_not_passed_on_is_answered_and_leaves_no_trace(sent: bytes, status: int) -> None:
    with proxied(silent) as (proxy, upstream):
        got = answer(proxy, sent)
        assert got.startswith(b"HTTP/1.1 %d " % status)
        wait(lambda: not proxy.connections, "the connection to end")
        wait(lambda: all(visit.left for visit in upstream.visits), "its server's too")


def test_a_head_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxy_connection, "HEAD_S", 0.05)
    with proxied(silent) as (proxy, _):
        assert answer(proxy, b"GET / HTTP/1.1\r\n").startswith(b"HTTP/1.1 408")


def test_more_clients_than_there_may_be_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxy_module, "MOST_CONNECTIONS", 1)
    with proxied(endless) as (proxy, _), connect(proxy) as first:
        first.sendall(chat())
        read_until(first, b"\n\n\r\n")
        with connect(proxy) as second:
            assert read_all(second).startswith(b"HTTP/1.1 503")
        read_until(first, b"\n\n\r\n")


def test_closing_ends_what_is_under_way() -> None:
    with Upstream(endless) as upstream:
        proxy = Proxy(f"http://{HOST}:{upstream.port}", 0)
        proxy.start()
        client = connect(proxy)
        client.sendall(chat())
        read_until(client, b"\n\n\r\n")
        proxy.close()
        wait(upstream.visits[0].lost.is_set, "the server's connection to end")
        client.close()
