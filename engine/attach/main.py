"""The reader process: asks the servers, and sends what becomes of that to the screen."""

import asyncio
import contextlib
from collections.abc import Callable

from ..protocol import Command, Message, Shutdown
from ..protocol.channel import Channel
from .settings import AttachOptions
from .watched_gpus import watch_gpus
from .watched_server import WatchedServer

FLUSH_EVERY_S = 0.05
"""What the screen has not taken yet leaves so soon after it can."""
IDLE_TURN_S = 1.0


async def read_servers(channel: Channel[Command], options: AttachOptions) -> None:
    """Watch all servers until the screen says `Shutdown` or is gone."""
    tasks = [asyncio.create_task(each.run()) for each in watched(options, channel.send)]
    tasks += [
        asyncio.create_task(watch_gpus(server, channel.send))
        for server in options.servers
        if server.dcgm is not None
    ]
    until = asyncio.create_task(_until_shutdown(channel))
    try:
        done, _ = await asyncio.wait({until, *tasks}, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            # A watch never ends by itself: what ended it is a defect, for the process's edge.
            task.result()
    finally:
        for task in (until, *tasks):
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(until, *tasks, return_exceptions=True)


def watched(options: AttachOptions, tell: Callable[[Message], object]) -> list[WatchedServer]:
    """What asks each of the servers."""
    return [WatchedServer(server, tell) for server in options.servers]


async def _until_shutdown(channel: Channel[Command]) -> None:
    loop, readable = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(channel.fileno(), readable.set)
    try:
        while not channel.closed:
            with contextlib.suppress(TimeoutError):
                # With every turn what waits in the outbox is written as well.
                wait_s = FLUSH_EVERY_S if channel.unsent_bytes else IDLE_TURN_S
                await asyncio.wait_for(readable.wait(), wait_s)
            readable.clear()
            if any(isinstance(command, Shutdown) for command in channel.receive()):
                return
    finally:
        with contextlib.suppress(ValueError, OSError):
            loop.remove_reader(channel.fileno())
