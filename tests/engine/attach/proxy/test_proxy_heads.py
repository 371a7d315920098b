"""Heads: what is refused, what framing they say, and what of them is changed."""

import pytest
from prodtop.engine.attach.proxy.heads import (
    NO_BODY,
    UNTIL_CLOSE,
    Framing,
    HeadError,
    passed_on,
    read_request,
    read_response,
)

CHUNKED = Framing(None, chunked=True)


def head(*lines: bytes, first: bytes = b"POST /v1/completions HTTP/1.1") -> bytes:
    return b"\r\n".join([first, *lines, b"", b""])


LOCAL = b"Host: localhost:9000"


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (head(), 400),
        (head(LOCAL, LOCAL), 400),
        (head(b"Host: evil.example"), 403),
        (head(b"Host: localhost.evil.example"), 403),
        (head(b"Host: 127.0.0.1@evil.example"), 403),
        (head(b"Host: [::1]:9000"), 200),
        (head(b"Host: 127.0.0.53"), 200),
        (head(LOCAL, b"Origin: https://evil.example"), 403),
        (head(LOCAL, b"Origin: null"), 403),
        (head(LOCAL, b"Origin: http://localhost:3000"), 200),
        (head(LOCAL, b"Content-Length: 5", b"Transfer-Encoding: chunked"), 400),
        (head(LOCAL, b"Content-Length: 5", b"Content-Length: 5"), 400),
        (head(LOCAL, b"Content-Length: 5, 5"), 400),
        (head(LOCAL, b"Content-Length: +5"), 400),
        (head(LOCAL, b"Content-Length: -5"), 400),
        (head(LOCAL, b"Content-Length: " + b"9" * 19), 400),
        (head(LOCAL, b"Transfer-Encoding: gzip, chunked"), 501),
        (head(LOCAL, b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"), 501),
        (head(LOCAL, b"Transfer-Encoding: xchunked"), 501),
        (head(LOCAL, b"Transfer-Encoding : chunked"), 400),
        (head(LOCAL, b" folded: yes"), 400),
        (head(LOCAL, b"X: a\nContent-Length: 5"), 400),
        (head(LOCAL, b"X: a\x00b"), 400),
        (head(LOCAL, b"nothing"), 400),
        (head(LOCAL, b"Connection: Upgrade", b"Upgrade: WebSocket"), 501),
        (head(LOCAL, first=b"CONNECT x:1 HTTP/1.1"), 501),
        (head(LOCAL, first=b"POST  /v1 HTTP/1.1"), 400),
        (head(LOCAL, first=b"POST /v1 HTTP/2.0"), 400),
        (head(LOCAL, first=b"POST /v 1 HTTP/1.1"), 400),
        (head(LOCAL, first=b"POST /v1"), 400),
        (b"PRI * HTTP/2.0\r\n\r\n", 505),
        (head(LOCAL, b"Transfer-Encoding: chunked", first=b"POST / HTTP/1.0"), 400),
        (head(first=b"GET / HTTP/1.0"), 200),
    ],
)
def test_what_two_readers_could_take_differently_is_refused(sent: bytes, status: int) -> None:
    if status == 200:
        read_request(sent)
        return
    with pytest.raises(HeadError) as refused:
        read_request(sent)
    assert refused.value.status == status


@pytest.mark.parametrize(
    ("sent", "method", "framing"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n", b"GET", Framing(12)),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n", b"HEAD", NO_BODY),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b"GET", NO_BODY),
        (b"HTTP/1.1 304 \r\nContent-Length: 12\r\n\r\n", b"GET", NO_BODY),
        (b"HTTP/1.1 100 Continue\r\n\r\n", b"POST", NO_BODY),
        (b"HTTP/1.1 200\r\ntransfer-encoding: gzip, Chunked\r\n\r\n", b"GET", CHUNKED),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", b"GET", UNTIL_CLOSE),
        (b"HTTP/1.0 200 OK\r\n\r\n", b"GET", UNTIL_CLOSE),
    ],
)
def test_how_answers_end(sent: bytes, method: bytes, framing: Framing) -> None:
    assert read_response(sent, method).framing == framing


@pytest.mark.parametrize(
    "sent",
    [
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
    ],
)
def test_an_answer_that_cannot_be_followed_is_not_passed_on(sent: bytes) -> None:
    with pytest.raises(HeadError) as refused:
        read_response(sent, b"GET")
    assert refused.value.status == 502


def test_only_host_and_offers_of_other_protocols_are_changed() -> None:
    sent = head(
        b"hOsT: localhost:9000",
        b"Authorization:   Bearer secret",
        b"Connection: keep-alive, Upgrade, HTTP2-Settings",
        b"Upgrade: h2c",
        b"HTTP2-Settings: AAMA",
        b"X-Odd:\tvalue \xe9",
    )
    request = read_request(sent)
    assert passed_on(sent, request, b"gpu:8000", b"/llm") == head(
        b"hOsT: gpu:8000",
        b"Authorization:   Bearer secret",
        b"Connection: keep-alive",
        b"X-Odd:\tvalue \xe9",
        first=b"POST /llm/v1/completions HTTP/1.1",
    )
    plain = head(LOCAL, b"Connection: close")
    assert passed_on(plain, read_request(plain), b"localhost:9000", b"") == plain
