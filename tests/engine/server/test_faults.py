"""Clients and processes that fail, with real processes: right status and counts, nothing stuck."""

import asyncio
import os
import signal
import socket
import struct
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from linked_engine import HOST, tiny_checkpoint
from prodtop.engine.protocol.options import WorkerOptions
from prodtop.engine.protocol.server_operations import Operations, RequestLog, ServerLimits
from prodtop.engine.protocol.server_options import ServerOptions
from served_engine import COUNTED, Reply, ServedEngine, ask, ask_all, post, request, served_engine

LONG = 3000
MOST = 50
MIB = 1 << 20


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> WorkerOptions:
    return tiny_checkpoint(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def one(options: WorkerOptions) -> Iterator[ServedEngine]:
    limits = ServerLimits(max_requests=MOST, max_body_mib=1)
    server = ServerOptions(port=0, operations=Operations(limits=limits))
    with served_engine(options, server) as engine:
        yield engine


@pytest.fixture
def engine(one: ServedEngine) -> Iterator[ServedEngine]:
    """Before and after each test: nothing is in flight, all blocks are free, counts add up."""
    one.wait("an idle engine", one.idle)
    yield one
    one.wait("an idle engine", one.idle)
    # As many as are taken at once: none of the places was lost.
    replies = asyncio.run(ask_all(one.port, [request(2) for _ in range(MOST)]))
    assert Counter(reply.status for reply in replies) == {200: MOST}
    assert all(reply.done for reply in replies)


def begin(engine: ServedEngine, data: bytes, *, received: int = 4096) -> socket.socket:
    """A client that has sent a request, and takes little at a time."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, received)
    client.settimeout(60)
    client.connect((HOST, engine.port))
    client.sendall(data)
    return client


@pytest.mark.parametrize("how", ["close", "reset", "half-close"])
def test_clients_that_vanish_are_aborted_and_counted(engine: ServedEngine, how: str) -> None:
    before = engine.metrics()
    clients = [begin(engine, request(LONG)) for _ in range(20)]
    for client in clients[:8]:
        assert client.recv(12) == b"HTTP/1.1 200"
    engine.wait("blocks in use", lambda: engine.metrics()["vllm:kv_cache_usage_perc"] > 0)
    for client in clients:
        if how == "reset":
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if how == "half-close":
            client.shutdown(socket.SHUT_WR)
        else:
            client.close()
    engine.wait("an idle engine", engine.idle)
    after = engine.metrics()
    after.subtract(before)
    assert after["prodtop_http_client_aborts_total"] == 20
    assert after['prodtop_requests_ended_total{reason="abort"}'] == 20
    assert after["prodtop_requests_ended_total"] == 20
    for client in clients:
        client.close()


def test_slow_readers_take_bounded_memory_and_keep_nobody_waiting(engine: ServedEngine) -> None:
    fields = {"logprobs": 5}
    before = engine.server_rss_bytes()
    slow = [begin(engine, request(1200, fields=fields), received=1024) for _ in range(8)]
    (quick,) = asyncio.run(ask_all(engine.port, [request(5)]))
    assert quick.done
    # Nobody reads, and still the engine serves them to the end.
    engine.wait("their ends", lambda: not engine.metrics()["vllm:num_requests_running"])
    grown = engine.server_rss_bytes() - before
    assert grown < 8 * 4 * MIB, f"{grown / MIB:.0f} MiB"
    for client in slow:
        client.close()


BAD_BODIES = {
    "no JSON": (b"{", 400),
    "nothing": (b"", 400),
    "no object": (b"[1]", 400),
    "no UTF-8": (b'{"prompt": "\xff\xfe\x9b"}', 400),
    "half a surrogate": (b'{"prompt": "\\ud800", "max_tokens": 1}', 400),
    "a zero byte": (b'{"prompt": "a\x00b"}', 400),
    "deep": (b'{"prompt": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", 400),
    "a huge number": (b'{"prompt": "a", "max_tokens": ' + b"9" * 5000 + b"}", 400),
    "an endless exponent": (b'{"prompt": "a", "temperature": 1e999}', 400),
    "NaN": (b'{"prompt": "a", "temperature": NaN}', 400),
    "much": (b'{"prompt": "' + b"a" * (2 * MIB) + b'"}', 413),
}


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("what", BAD_BODIES)
def test_a_bad_body_gets_its_status(engine: ServedEngine, what: str, chunked: bool) -> None:
    body, status = BAD_BODIES[what]
    data = post("/v1/completions", body)
    if chunked:
        head = b"POST /v1/completions HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n"
        parts = [body[at : at + 5000] for at in range(0, len(body), 5000)]
        chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)
        data = head + b"transfer-encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"
    with begin(engine, b"", received=1 << 16) as client:
        try:
            client.sendall(data)
        except ConnectionError:
            # It was refused before all of it was sent.
            assert status == 413
        assert client.recv(12) == b"HTTP/1.1 %d" % status


def test_pipelined_requests_are_served_in_turn(engine: ServedEngine) -> None:
    kept = [request(3, stream=False).replace(b"connection: close\r\n", b"") for _ in range(9)]
    reply = asyncio.run(ask(engine.port, b"".join([*kept, request(3, stream=False)])))
    assert reply.status == 200
    assert (reply.head + reply.body).count(b"HTTP/1.1 200 OK") == 10


def test_what_is_above_the_limit_is_refused_and_the_rest_is_served(engine: ServedEngine) -> None:
    before = engine.metrics()
    requests = [request(4, stream=number % 2 == 0) for number in range(500)]
    replies = asyncio.run(ask_all(engine.port, requests))
    statuses = Counter(reply.status for reply in replies)
    assert set(statuses) == {200, 429}
    assert statuses[200] >= MOST
    for reply in replies:
        if reply.status == 429:
            assert b"\r\nretry-after: " in reply.head
            assert reply.error["code"] == "queue_full"  # type: ignore[index]  # it is one
        else:
            assert reply.done or b'"usage"' in reply.body
    after = engine.metrics()
    after.subtract(before)
    rejected = after['prodtop_http_rejected_requests_total{reason="queue_full"}']
    assert rejected == statuses[429]
    assert after["prodtop_requests_submitted_total"] == statuses[200]


def test_a_worker_that_is_killed_fails_its_requests_and_no_later_ones(engine: ServedEngine) -> None:
    before = engine.metrics()

    async def kill() -> list[Reply]:
        asking = [asyncio.create_task(ask(engine.port, request(LONG))) for _ in range(MOST)]

        def submitted() -> bool:
            seen = engine.metrics()
            name = COUNTED[0]
            return seen[name] - before[name] == MOST

        await asyncio.to_thread(engine.wait, "all submitted", submitted)
        pid = engine.linked.client.worker_pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        replies = await asyncio.gather(*asking)
        refused = await ask(engine.port, request(2))
        return [*replies, refused]

    *replies, refused = asyncio.run(kill())
    for reply in replies:
        assert reply.status in (200, 503)
        assert reply.error is not None
        assert reply.error["type"] == "service_unavailable_error"
        assert reply.done == (reply.status == 200)
    assert {reply.status for reply in replies} >= {503}
    assert refused.status in (200, 503)
    engine.wait("a new worker", lambda: engine.get("/ready")[0] == 200)
    after = engine.metrics()
    after.subtract(before)
    assert after['prodtop_requests_ended_total{reason="error"}'] == MOST
    assert after["prodtop_requests_submitted_total"] in (MOST, MOST + 1)


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder of a disk that is soon full."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(folder)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no file system may be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_ends_the_log_and_not_the_server(
    options: WorkerOptions, tiny_disk: Path
) -> None:
    log = RequestLog(file=str(tiny_disk / "requests.log"), as_json=True)
    server = ServerOptions(port=0, operations=Operations(log=log))
    with served_engine(options, server) as engine:
        for _ in range(3):
            replies = asyncio.run(ask_all(engine.port, [request(1) for _ in range(60)]))
            assert {reply.status for reply in replies} == {200}
        stat = os.statvfs(tiny_disk)
        assert stat.f_bavail == 0
        assert engine.idle()
