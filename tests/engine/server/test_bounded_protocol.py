"""Connections within bounds: heads without an end, heads that never come, too many at once."""

import json
import socket
from collections.abc import Iterator

import pytest
from api_harness import saying
from asgi_client import Json
from http_server_thread import serving_app, wait_until
from prodtop.engine.protocol.server_options import ServerOptions
from prodtop.engine.server.app import create_app
from prodtop.engine.server.bounded_protocol import ConnectionBounds
from scripted_link import ScriptedLink, serving_of
from served_folders import chat_folder
from starlette.applications import Starlette

HEAD_BYTES = 4096
FLOOD = 1 << 20
GET = b"GET /version HTTP/1.1\r\nhost: localhost\r\n"
POST = b"POST /v1/completions HTTP/1.1\r\nhost: localhost\r\n"
CHUNKED = POST + b"transfer-encoding: chunked\r\n\r\n"


@pytest.fixture(scope="module")
def app() -> Starlette:
    link = ScriptedLink(lambda _: saying("hello"), serving_of(chat_folder()))
    return create_app(link, ServerOptions())


@pytest.fixture(scope="module")
def port(app: Starlette) -> Iterator[int]:
    with serving_app(app, ConnectionBounds(connections=50, head_bytes=HEAD_BYTES)) as port:
        yield port


def exchange(port: int, data: bytes, piece: int = 1 << 20) -> bytes:
    """All that the server says to `data`, sent in pieces, until it closes the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        received = b""
        try:
            for start in range(0, len(data), piece):
                client.sendall(data[start : start + piece])
            while part := client.recv(1 << 16):
                received += part
        # It was closed while we were still sending: that is what it is for.
        except ConnectionError:
            pass
        return received


def answers(received: bytes) -> list[tuple[int, Json]]:
    """Status and body of each answer, one behind the other."""
    found: list[tuple[int, Json]] = []
    while received:
        head, _, rest = received.partition(b"\r\n\r\n")
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        length = int(fields[b"content-length"])
        found.append((int(head.split(b" ", 2)[1]), json.loads(rest[:length])))
        received = rest[length:]
    return found


ENDLESS = {
    "a header": GET + b"x: " + b"a" * FLOOD,
    "a header's name": GET + b"x" * FLOOD,
    "many headers": GET + b"x: a\r\n" * (FLOOD // 6),
    "a target": b"GET /" + b"a" * FLOOD,
    "a query": b"GET /version?" + b"a" * FLOOD,
    "a chunk's extension": CHUNKED + b"1;" + b"a" * FLOOD,
    "a trailer": CHUNKED + b"0\r\nx: " + b"a" * FLOOD,
    "many trailers": CHUNKED + b"0\r\n" + b"x: a\r\n" * (FLOOD // 6),
    "many headers behind an answer": GET + b"\r\n" + GET + b"x: a\r\n" * (FLOOD // 6),
}


@pytest.mark.parametrize("piece", [512, 1 << 16])
@pytest.mark.parametrize("what", ENDLESS)
def test_what_never_ends_is_ended(port: int, what: str, piece: int) -> None:
    """Whether its last words arrive is TCP's business: data that nobody read resets it."""
    for status, body in answers(exchange(port, ENDLESS[what], piece)):
        assert status in (200, 400, 431)
        assert status == 200 or set(body["error"]) == {"message", "type", "param", "code"}


@pytest.mark.parametrize("what", ["a header", "many headers", "a target"])
def test_a_head_that_is_a_little_too_long_gets_431(port: int, what: str) -> None:
    received = exchange(port, ENDLESS[what][: HEAD_BYTES + 200])
    (answer,) = answers(received)
    assert answer[0] == 431


@pytest.mark.parametrize("piece", [1, 700, 1 << 16])
def test_a_head_that_is_long_enough_is_served(port: int, piece: int) -> None:
    head = GET + b"connection: close\r\nx: " + b"a" * (HEAD_BYTES - 100) + b"\r\n\r\n"
    ((status, _),) = answers(exchange(port, head, piece))
    assert status == 200


@pytest.mark.parametrize("piece", [100, 1 << 16])
def test_a_long_body_is_no_long_head(port: int, piece: int) -> None:
    text = json.dumps({"prompt": "a", "user": "x" * (3 * HEAD_BYTES)}).encode()
    close = b"connection: close\r\n"
    whole = POST + close + b"content-length: %d\r\n\r\n" % len(text) + text
    chunks = POST + close + b"transfer-encoding: chunked\r\n\r\n"
    for start in range(0, len(text), 1000):
        part = text[start : start + 1000]
        chunks += b"%x\r\n%s\r\n" % (len(part), part)
    for data in (whole, chunks + b"0\r\n\r\n"):
        ((status, _),) = answers(exchange(port, data, piece))
        assert status == 200


@pytest.mark.parametrize("number", [2, 300])
def test_pipelined_requests_are_all_answered_in_turn(port: int, number: int) -> None:
    last = GET + b"connection: close\r\n\r\n"
    found = answers(exchange(port, (GET + b"\r\n") * (number - 1) + last))
    assert [status for status, _ in found] == [200] * number


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\x00" * 100,
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /\xff\x9b31m HTTP/1.1\r\nhost: localhost\r\n\r\n",
        POST + b"content-length: -1\r\n\r\n",
        POST + b"content-length: 1\r\ncontent-length: 2\r\n\r\nab",
        POST + b"content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        CHUNKED + b"zz\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
def test_what_is_no_request_gets_400_and_its_connection_is_closed(port: int, data: bytes) -> None:
    ((status, body),) = answers(exchange(port, data))
    assert status == 400
    assert body["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize("data", [b"", b"\r\n", b"G", GET, GET + b"x: "])
def test_a_head_that_does_not_come_is_not_waited_for(app: Starlette, data: bytes) -> None:
    bounds = ConnectionBounds(connections=50, head_s=0.1)
    with serving_app(app, bounds) as port:
        ((status, body),) = answers(exchange(port, data))
    assert status == 408
    assert body["error"]["type"] == "invalid_request_error"


def test_nor_is_it_behind_an_answer(app: Starlette) -> None:
    bounds = ConnectionBounds(connections=50, head_s=0.1)
    with (
        serving_app(app, bounds) as port,
        socket.create_connection(("127.0.0.1", port), timeout=30) as client,
    ):
        client.sendall(GET + b"\r\n")
        assert client.recv(1 << 16).startswith(b"HTTP/1.1 200")
        client.sendall(b"\r\n")
        assert client.recv(1 << 16).startswith(b"HTTP/1.1 408")
        assert client.recv(1) == b""


def test_connections_above_the_most_are_told_so_and_counted(app: Starlette) -> None:
    rejected = app.state.http_counters.rejected
    with serving_app(app, ConnectionBounds(connections=2)) as port:
        held = [socket.create_connection(("127.0.0.1", port)) for _ in range(2)]
        for client in held:
            client.sendall(GET + b"\r\n")
            assert client.recv(12) == b"HTTP/1.1 200"
        ((status, body),) = answers(exchange(port, b""))
        assert (status, body["error"]["code"]) == (503, "too_many_connections")
        assert rejected["too_many_connections"] == 1
        held.pop().close()
        request = GET + b"connection: close\r\n\r\n"
        wait_until(lambda: answers(exchange(port, request))[0][0] == 200, "a free place")
        for client in held:
            client.close()
