"""A server of raw bytes behind a proxy, for tests: it answers what a script says, and tells what it
got and what became of its connections."""

import asyncio
import json
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from prodtop.engine.attach.proxy.proxy import HOST, Proxy

DEADLINE_S = 20.0

Script = Callable[["Visit"], Awaitable[None]]


@dataclass
class Visit:
    """One connection of the proxy. `received` is all that came, heads included."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    received: bytearray = field(default_factory=bytearray)
    lost: threading.Event = field(default_factory=threading.Event)
    left: bool = False

    async def head(self) -> bytes:
        """The next head of a request; empty where the connection ended."""
        try:
            head = await self.reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return b""
        self.received += head
        return head

    async def body(self, length: int) -> bytes:
        body = await self.reader.readexactly(length)
        self.received += body
        return body

    async def request(self) -> tuple[bytes, bytes]:
        """The next request: head and body, by its content-length."""
        head = await self.head()
        length = 0
        for line in head.split(b"\r\n"):
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        return head, await self.body(length)

    async def send(self, *parts: bytes) -> None:
        for part in parts:
            self.writer.write(part)
        await self.writer.drain()

    async def until_left(self) -> None:
        """Wait until the proxy lets go of the connection."""
        try:
            while await self.reader.read(65_536):
                pass
        except ConnectionError:
            pass
        self.left = True
        self.lost.set()


class Upstream:
    """Runs a script for each connection, in a thread of its own."""

    def __init__(self, script: Script, tls: ssl.SSLContext | None = None) -> None:
        self.visits: list[Visit] = []
        self.port = 0
        self._script, self._tls = script, tls
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(
            asyncio.start_server(self._on_client, HOST, 0, ssl=self._tls, backlog=512)
        )
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        server.close()
        self._loop.run_until_complete(asyncio.sleep(0))

    async def _on_client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visit = Visit(reader, writer)
        self.visits.append(visit)
        try:
            await self._script(visit)
        except (ConnectionError, asyncio.IncompleteReadError):
            visit.left = True
            visit.lost.set()
        finally:
            writer.close()

    def __enter__(self) -> "Upstream":
        self._thread.start()
        assert self._ready.wait(DEADLINE_S)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(DEADLINE_S)


@contextmanager
def proxied(script: Script) -> Iterator[tuple[Proxy, Upstream]]:
    """A proxy before a scripted server."""
    with Upstream(script) as upstream:
        proxy = Proxy(f"http://{HOST}:{upstream.port}", 0)
        proxy.start()
        try:
            yield proxy, upstream
        finally:
            proxy.close()


def event(text: str, **more: object) -> bytes:
    """A piece of a chat stream."""
    delta = {"content": text} if text else {}
    choice = {"index": 0, "delta": delta, "finish_reason": None, **more}
    return b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n"


def usage(prompt: int, output: int) -> bytes:
    """The last event of a stream that tells how long all was."""
    told = {"prompt_tokens": prompt, "completion_tokens": output}
    return b"data: " + json.dumps({"choices": [], "usage": told}).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"
STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)
LAST_CHUNK = b"0\r\n\r\n"


def chunk(content: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(content), content)


def chat(content: str = "hello", *headers: bytes, **fields: object) -> bytes:
    """A chat request's bytes."""
    asked = {
        "model": "m",
        "messages": [{"role": "user", "content": content}],
        "stream": True,
        "max_tokens": 16,
        **fields,
    }
    body = json.dumps(asked).encode()
    lines = [
        b"POST /v1/chat/completions HTTP/1.1",
        b"Host: localhost",
        b"Content-Type: application/json",
        b"Content-Length: %d" % len(body),
        *headers,
    ]
    return b"\r\n".join([*lines, b"", body])


async def answer_stream(visit: Visit) -> None:
    """A short stream that says how long it was."""
    await visit.send(STREAM_HEAD, chunk(event("x")), chunk(event("y")))
    await visit.send(chunk(event("", finish_reason="stop") + usage(9, 3) + DONE), LAST_CHUNK)
