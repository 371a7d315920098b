"""A fetch is bounded in time and size, follows nothing, unpacks nothing, and says what is wrong."""

import gzip
import socket
import tracemalloc
import zlib

import pytest
from faulty_server import HOST, Behaviour, endless, raw, serving, silent, whole
from prodtop.engine.attach.asking.fetch import Fetcher, FetchError, StatusError
from prodtop.engine.attach.reading.exposition import MOST_BYTES

TIMEOUT_S = 0.3
BOMB = zlib.compress(bytes(64 << 20))
HEAD = b"HTTP/1.1 200 OK\r\n"


async def fetched(behaviour: Behaviour, **headers: str) -> bytes:
    async with serving(behaviour) as server:
        fetcher = Fetcher(server.url, timeout_s=TIMEOUT_S)
        try:
            return (await fetcher.get("/metrics", headers)).body
        finally:
            await fetcher.close()


async def test_an_answer_comes_whole_and_later_ones_over_the_same_connection() -> None:
    async with serving(whole(b"a 1\n", headers="content-type: text/plain\r\n")) as server:
        fetcher = Fetcher(server.url)
        for _ in range(3):
            answer = await fetcher.get("/metrics", {"authorization": "Bearer x"})
            assert (answer.body, answer.content_type) == (b"a 1\n", "text/plain")
            assert answer.took_s > 0
        await fetcher.close()
    assert all(
        b"authorization: Bearer x" in each.lower() or b"Bearer x" in each
        for each in server.requests
    )


FAULTS: dict[str, tuple[Behaviour, str]] = {
    "silent": (silent, "no answer within"),
    "a body that never ends": (
        endless(b"x" * 65536, HEAD + b"\r\n"),
        f"more than {MOST_BYTES >> 20} MiB",
    ),
    "50 MB": (
        endless(b"x" * 65536, HEAD + b"content-length: 52428800\r\n\r\n"),
        f"more than {MOST_BYTES >> 20} MiB",
    ),
    "a head that never ends": (endless(b"x: y\r\n" * 100, HEAD), "HTTP"),
    "no HTTP": (raw(b"SSH-2.0-OpenSSH_9.2\r\n"), "HTTP"),
    "nothing": (raw(b""), "HTTP"),
    "half an answer": (raw(HEAD + b"content-length: 100\r\n\r\nabc"), "HTTP"),
    "a bad chunk": (raw(HEAD + b"transfer-encoding: chunked\r\n\r\nzz\r\n"), "HTTP"),
    "500": (whole(b"oh", status="500 Internal Server Error"), "answers 500 Internal Server Error"),
    "an unknown status": (whole(b"", status="799 Odd"), "answers 799"),
    "a redirect": (
        whole(b"", status="302 Found", headers="location: http://127.0.0.1:1/\r\n"),
        "answers 302 Found",
    ),
    "gzip": (whole(gzip.compress(b"a 1\n"), headers="content-encoding: gzip\r\n"), "compressed"),
    "a bomb": (whole(BOMB, headers="content-encoding: deflate\r\n"), "compressed"),
}


@pytest.mark.parametrize("what", FAULTS)
async def test_what_is_wrong_is_said_in_a_few_words(what: str) -> None:
    behaviour, words = FAULTS[what]
    tracemalloc.start()
    try:
        with pytest.raises(FetchError) as caught:
            await fetched(behaviour)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    said = str(caught.value)
    assert words in said
    assert said.isprintable()
    assert len(said) < 200
    assert peak_bytes < 6 * MOST_BYTES


async def test_a_status_is_told() -> None:
    with pytest.raises(StatusError) as caught:
        await fetched(whole(b"", status="404 Not Found"))
    assert caught.value.status == 404


async def test_nobody_listens() -> None:
    with socket.socket() as free:
        free.bind((HOST, 0))
        port = free.getsockname()[1]
    fetcher = Fetcher(f"http://{HOST}:{port}")
    with pytest.raises(FetchError, match="refuses connections"):
        await fetcher.get("/metrics", {})
    await fetcher.close()
