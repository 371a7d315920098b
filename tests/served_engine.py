"""A real worker and the real server, kept running by a thread, for tests that are their clients."""

import asyncio
import http.client
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any

import psutil
from linked_engine import DEADLINE_S, HOST, LinkedEngine
from prodtop.engine.client.watched_server import server_command
from prodtop.engine.protocol import Command
from prodtop.engine.protocol.options import WorkerOptions
from prodtop.engine.protocol.server_options import ServerOptions

Json = Any  # what JSON gives: tests look into it

COUNTED = (
    "prodtop_requests_submitted_total",
    "prodtop_requests_refused_total",
    "prodtop_requests_ended_total",
)


class ServedEngine:
    """Talks HTTP to it; counts are those of `/metrics`, the values of one name added up."""

    def __init__(self, linked: LinkedEngine) -> None:
        self.linked = linked
        self.port = 0
        self._commands: SimpleQueue[Command] = SimpleQueue()

    def send(self, command: Command) -> None:
        """Send a command to the engine, by the thread that polls it: a client has one."""
        self._commands.put(command)

    def pass_on(self) -> None:
        """Called by that thread: send what has been asked for."""
        while not self._commands.empty():
            self.linked.client.send(self._commands.get())

    def get(self, path: str) -> tuple[int, bytes]:
        """Status and body; status 0 where nobody listens."""
        connection = http.client.HTTPConnection(HOST, self.port, timeout=DEADLINE_S)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except ConnectionError:
            return 0, b""
        finally:
            connection.close()

    def metrics(self) -> Counter[str]:
        """By name, and by name with labels."""
        found: Counter[str] = Counter()
        for line in self.get("/metrics")[1].decode().splitlines():
            if not line.startswith("#"):
                name, value = line.rsplit(" ", 1)
                found[name] += float(value)  # type: ignore[assignment]  # fractions as well
                if "{" in name:
                    found[name.partition("{")[0]] += float(value)  # type: ignore[assignment]
        return found

    def wait(self, what: str, condition: object) -> None:
        """Wait until `condition()` holds."""
        deadline_s = time.monotonic() + DEADLINE_S
        assert callable(condition)
        while not condition():
            assert time.monotonic() < deadline_s, f"it never came: {what}"
            time.sleep(0.02)

    def until_ready(self) -> None:
        self.wait("a server", lambda: self.linked.port)
        self.port = self.linked.port
        self.wait("an engine", lambda: self.get("/ready")[0] == 200)

    def idle(self) -> bool:
        """Nothing is in flight, every block is free, and each request has ended somehow."""
        seen = self.metrics()
        submitted, refused, ended = (seen[name] for name in COUNTED)
        return (
            not seen["prodtop_http_open_streams"]
            and not seen["vllm:num_requests_running"]
            and not seen["vllm:num_requests_waiting"]
            and not seen["vllm:kv_cache_usage_perc"]
            and submitted == refused + ended
        )

    def server_rss_bytes(self) -> int:
        """Of the server's process."""
        pid = self.linked.client.server_pid
        assert pid is not None
        rss: int = psutil.Process(pid).memory_info().rss
        return rss


@contextmanager
def served_engine(options: WorkerOptions, server: ServerOptions) -> Iterator[ServedEngine]:
    """Run both, until the test is done."""
    ended = threading.Event()
    with LinkedEngine(options, server, server_command) as linked:
        engine = ServedEngine(linked)

        def poll() -> None:
            while not ended.is_set():
                linked.client.wait(0.02)
                engine.pass_on()
                linked.poll()

        polling = threading.Thread(target=poll, daemon=True)
        polling.start()
        try:
            engine.until_ready()
            yield engine
        finally:
            ended.set()
            polling.join(DEADLINE_S)


_DRAW = random.Random(5)


def request(max_tokens: int, *, stream: bool = True, fields: Json | None = None) -> bytes:
    """A request of its own, so that no cache has its answer."""
    body = {
        "prompt": [_DRAW.randrange(5, 90) for _ in range(12)],
        "max_tokens": max_tokens,
        "ignore_eos": True,
        "temperature": 0,
        "stream": stream,
        **(fields or {}),
    }
    return post("/v1/completions", json.dumps(body).encode())


def post(path: str, body: bytes, *headers: bytes) -> bytes:
    """A request's bytes."""
    lines = [
        b"POST %s HTTP/1.1" % path.encode(),
        b"host: localhost",
        b"connection: close",
        b"content-length: %d" % len(body),
        *headers,
    ]
    return b"\r\n".join([*lines, b"", body])


@dataclass(slots=True)
class Reply:
    """What came until the connection was closed."""

    status: int = 0
    head: bytes = b""
    body: bytes = b""
    events: list[Json] = field(default_factory=list)

    @property
    def done(self) -> bool:
        """Whether a stream had its end."""
        return b"data: [DONE]" in self.body

    @property
    def error(self) -> Json | None:
        """The error of a stream, or of an answer that is one."""
        if self.status != 200:
            return json.loads(self.body)["error"]
        return next((event["error"] for event in self.events if "error" in event), None)


async def ask(port: int, data: bytes) -> Reply:
    """Send a request, and read all that comes back."""
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        writer.write(data)
        received = await asyncio.wait_for(reader.read(-1), DEADLINE_S)
    finally:
        writer.close()
    reply = Reply()
    reply.head, _, reply.body = received.partition(b"\r\n\r\n")
    reply.status = int(reply.head.split(b" ", 2)[1])
    if b"event-stream" in reply.head:
        lines = [line for line in reply.body.split(b"\n") if line.startswith(b"data: {")]
        reply.events = [json.loads(line[6:]) for line in lines]
    return reply


async def ask_all(port: int, requests: list[bytes]) -> list[Reply]:
    """All at once."""
    return list(await asyncio.gather(*(ask(port, data) for data in requests)))
