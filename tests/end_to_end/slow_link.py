"""A link between two TCP ports of this machine with a rate and a delay, whose queue is measured."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

_PIECE_BYTES = 1024
"""Small beside what a tenth of a second carries, so that a key's answer waits for little."""


@dataclass(slots=True)
class SlowLink:
    """What a running link has carried towards the client.

    Attributes:
        port: where the client connects.
        carried_bytes: what has reached the client.
        most_queued_bytes: the most that had been read from the server and had not yet left.
    """

    port: int = 0
    carried_bytes: int = 0
    most_queued_bytes: int = 0

    def forget_queue(self) -> None:
        self.most_queued_bytes = 0


async def _carry(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    bytes_per_s: float,
    delay_s: float,
    link: SlowLink | None,
) -> None:
    """Copy until the end: each piece leaves when those before it have, and arrives after a delay.

    The queue is unbounded, as a router's that keeps everything: a sender that is faster than the
    link shows as a queue that grows.
    """
    loop = asyncio.get_running_loop()
    pieces: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
    queued = 0

    async def read() -> None:
        nonlocal queued
        free_at = 0.0
        while piece := await reader.read(_PIECE_BYTES):
            free_at = max(free_at, loop.time()) + len(piece) / bytes_per_s
            queued += len(piece)
            if link is not None:
                link.most_queued_bytes = max(link.most_queued_bytes, queued)
            pieces.put_nowait((free_at, piece))
        pieces.put_nowait((free_at, b""))

    async def write() -> None:
        nonlocal queued
        while True:
            leaves_at, piece = await pieces.get()
            await asyncio.sleep(leaves_at - loop.time())
            queued -= len(piece)
            await asyncio.sleep(leaves_at + delay_s - loop.time())
            if not piece:
                break
            writer.write(piece)
            await writer.drain()
            if link is not None:
                link.carried_bytes += len(piece)

    try:
        with suppress(ConnectionError):  # either end may vanish: that is the end of this link
            await asyncio.gather(read(), write())
    finally:
        writer.close()


@contextmanager
def slow_link(to_port: int, bytes_per_s: float, round_trip_s: float) -> Iterator[SlowLink]:
    """A port that leads to another one through a slow link, on a thread of its own."""
    link = SlowLink()
    opened = threading.Event()
    loop = asyncio.new_event_loop()

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", to_port)
        await asyncio.gather(
            _carry(reader, there_writer, bytes_per_s, round_trip_s / 2, None),
            _carry(there_reader, writer, bytes_per_s, round_trip_s / 2, link),
        )

    async def serve() -> None:
        server = await asyncio.start_server(connect, "127.0.0.1", 0)
        link.port = server.sockets[0].getsockname()[1]
        opened.set()
        async with server:
            await server.serve_forever()

    serving = loop.create_task(serve())

    def run() -> None:
        with suppress(asyncio.CancelledError):
            loop.run_until_complete(serving)

    thread = threading.Thread(target=run)
    thread.start()
    assert opened.wait(10)
    try:
        yield link
    finally:
        loop.call_soon_threadsafe(serving.cancel)
        thread.join()
        _end_tasks(loop)
        loop.close()


def _end_tasks(loop: asyncio.AbstractEventLoop) -> None:
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
