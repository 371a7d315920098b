"""A server on loopback that answers as a test says: bytes of any kind, late, or not at all."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

HOST = "127.0.0.1"
Writer = asyncio.StreamWriter
Behaviour = Callable[[Writer], Awaitable[None]]


def whole(body: bytes, *, status: str = "200 OK", headers: str = "") -> Behaviour:
    """Answer with this."""

    async def answer(writer: Writer) -> None:
        head = f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\n{headers}\r\n"
        writer.write(head.encode() + body)
        await writer.drain()

    return answer


def raw(*pieces: bytes) -> Behaviour:
    """Send these bytes, whatever they are, and close."""

    async def answer(writer: Writer) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        writer.close()

    return answer


def endless(piece: bytes, head: bytes) -> Behaviour:
    """Never stop sending."""

    async def answer(writer: Writer) -> None:
        writer.write(head)
        while not writer.is_closing():
            writer.write(piece)
            await writer.drain()

    return answer


async def silent(_writer: Writer) -> None:
    """Take the request, and say nothing."""
    await asyncio.sleep(3600)


class FaultyServer:
    """Answers every request as `behaviour`, which may be changed; `requests` are their heads."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self.requests: list[bytes] = []
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: Writer) -> None:
        try:
            while True:
                self.requests.append(await reader.readuntil(b"\r\n\r\n"))
                await self.behaviour(writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def serving(behaviour: Behaviour, port: int = 0) -> AsyncIterator[FaultyServer]:
    """A server that listens; its connections are cut at the end."""
    faulty = FaultyServer(behaviour)
    tasks: set[asyncio.Task[None]] = set()

    def on_client(reader: asyncio.StreamReader, writer: Writer) -> None:
        task = asyncio.create_task(faulty.serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(on_client, HOST, port)
    faulty.port = server.sockets[0].getsockname()[1]
    try:
        yield faulty
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
