"""What passes the proxy arrives as it was sent, over real sockets."""

import asyncio
import random
import ssl
from pathlib import Path

import pytest
from certificates import certificate
from prodtop.engine.attach.proxy.proxy import HOST, Proxy
from prodtop.engine.protocol.errors import BadInputError
from raw_client import answer, connect, read_all, read_until, wait
from scripted_upstream import (
    DEADLINE_S,
    DONE,
    LAST_CHUNK,
    STREAM_HEAD,
    Upstream,
    Visit,
    chat,
    chunk,
    event,
    proxied,
)

STREAMS = 200


def as_sent(proxy: Proxy, upstream: Upstream, data: bytes) -> bytes:
    """A request of a client, with the name of the server that is behind the proxy."""
    return data.replace(b"Host: localhost", b"Host: %s:%d" % (HOST.encode(), upstream.port))


def odd_stream(seed: int, pieces: int) -> list[bytes]:
    """A stream in chunks that follow no event, with odd bytes, sizes and frames."""
    draw = random.Random(seed)
    text = b"".join(
        event(f"{seed} token {at} \u00e9" * draw.randrange(1, 4)) for at in range(pieces)
    )
    text += b": a comment\r\n\r\n" + draw.randbytes(50) + b"\n\n" + DONE
    parts, at = [STREAM_HEAD], 0
    while at < len(text):
        size = draw.randrange(1, 300)
        content = text[at : at + size]
        parts.append(b"%04X;x=%d\r\n%s\r\n" % (len(content), at, content))
        at += size
    return [*parts, b"000\r\nX-Trailer: yes\r\n\r\n"]


def test_two_hundred_streams_at_once_arrive_byte_for_byte() -> None:
    async def script(visit: Visit) -> None:
        head = await visit.head()
        seed = int(head.split(b"X-Seed: ")[1].split(b"\r\n")[0])
        body = await visit.body(int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0]))
        assert body
        for part in odd_stream(seed, 40):
            await visit.send(part)
            await asyncio.sleep(0)
        await visit.head()

    async def client(proxy: Proxy, upstream: Upstream, seed: int) -> None:
        reader, writer = await asyncio.open_connection(HOST, proxy.port)
        request = chat(f"prompt {seed} " * 100, b"X-Seed: %d" % seed)
        writer.write(request)
        expected = b"".join(odd_stream(seed, 40))
        assert await reader.readexactly(len(expected)) == expected
        writer.close()

    async def clients(proxy: Proxy, upstream: Upstream) -> None:
        async with asyncio.timeout(DEADLINE_S):
            await asyncio.gather(*(client(proxy, upstream, seed) for seed in range(STREAMS)))

    with proxied(script) as (proxy, upstream):
        asyncio.run(clients(proxy, upstream))
        sent = {
            as_sent(proxy, upstream, chat(f"prompt {n} " * 100, b"X-Seed: %d" % n))
            for n in range(STREAMS)
        }
        assert {bytes(visit.received) for visit in upstream.visits} == sent
        wait(lambda: not proxy.connections, "connections that end")


def test_a_connection_is_kept_alive_and_pipelined_requests_come_in_turn() -> None:
    answers = [
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nfirst",
        STREAM_HEAD + chunk(event("x")) + LAST_CHUNK,
        b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nz\r\n0\r\n\r\n",
    ]
    overtaken: list[bool] = []

    async def script(visit: Visit) -> None:
        for each in answers:
            await visit.request()
            # Nothing of the next request is here before this one's answer has left.
            await asyncio.sleep(0.02)
            overtaken.append(bool(visit.reader._buffer))  # type: ignore[attr-defined]  # asyncio's own
            await visit.send(each)
        await visit.until_left()

    requests = [
        chat("one"),
        chat("two"),
        b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n",
        chat(),
    ]
    with proxied(script) as (proxy, upstream), connect(proxy) as client:
        client.sendall(b"".join(requests))
        got = read_until(client, answers[-1])
        assert got == b"".join(answers)
        (visit,) = upstream.visits
        assert bytes(visit.received) == as_sent(proxy, upstream, b"".join(requests))
        assert overtaken == [False] * 4


def test_large_bodies_pass_both_ways_in_chunks() -> None:
    draw = random.Random(3)
    content = draw.randbytes(6 << 20)
    pieces = [content[at : at + 70_001] for at in range(0, len(content), 70_001)]
    sent = b"".join(map(chunk, pieces)) + LAST_CHUNK
    head = b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"

    async def script(visit: Visit) -> None:
        await visit.head()
        await visit.body(len(sent))
        await visit.send(b"HTTP/1.0 200 OK\r\n\r\n", content)

    with proxied(script) as (proxy, upstream):
        got = answer(proxy, head + sent)
        assert got == b"HTTP/1.0 200 OK\r\n\r\n" + content, "an answer that its end ends"
        assert bytes(upstream.visits[0].received) == as_sent(proxy, upstream, head + sent)


def test_a_body_that_waits_for_leave_gets_it() -> None:
    async def script(visit: Visit) -> None:
        await visit.head()
        await visit.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        await visit.body(4)
        await visit.send(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
        await visit.until_left()

    with proxied(script) as (proxy, _), connect(proxy) as client:
        client.sendall(
            b"POST /v1/x HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n"
            b"Content-Length: 4\r\n\r\n"
        )
        assert read_until(client, b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"body")
        assert read_until(client, b"ok").startswith(b"HTTP/1.1 200 OK")


def test_the_answer_to_a_head_request_has_no_body() -> None:
    async def script(visit: Visit) -> None:
        for _ in range(2):
            await visit.head()
            await visit.send(b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n")
        await visit.until_left()

    with proxied(script) as (proxy, _), connect(proxy) as client:
        for _ in range(2):
            client.sendall(b"HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert read_until(client, b"\r\n\r\n").endswith(b"99\r\n\r\n")


def test_a_server_behind_tls_is_reached_and_its_certificate_checked(tmp_path: Path) -> None:
    made = certificate(tmp_path, "server")
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(made.cert, made.key)
    trusting = ssl.create_default_context(cafile=made.cert)

    async def script(visit: Visit) -> None:
        await visit.request()
        await visit.send(STREAM_HEAD, chunk(event("x")), LAST_CHUNK)
        await visit.until_left()

    with Upstream(script, serving) as upstream:
        url = f"https://localhost:{upstream.port}"
        for tls, status in ((trusting, b"200"), (None, b"502")):
            proxy = Proxy(url, 0, tls=tls)
            proxy.start()
            with connect(proxy) as client:
                client.sendall(chat())
                got = read_until(client, LAST_CHUNK) if tls else read_all(client)
            assert got.split(b" ")[1] == status
            assert tls is not None or b"certificate" in got
            proxy.close()


@pytest.mark.parametrize(
    "url",
    ["localhost:8000", "ftp://host", "http://", "http://u:p@host", "http://h:99999", "http://é"],
)
def test_what_is_no_url_of_a_server_is_said(url: str) -> None:
    with pytest.raises(BadInputError):
        Proxy(url, 0)


def test_a_port_that_is_taken_is_said() -> None:
    first = Proxy("http://localhost:1", 0)
    first.start()
    try:
        with pytest.raises(BadInputError, match=f"cannot listen on 127.0.0.1:{first.port}: "):
            Proxy("http://localhost:1", first.port).start()
    finally:
        first.close()
