"""The reader process: asks the servers, and sends what becomes of that to the screen."""

import asyncio
import contextlib
from functools import partial

from ..protocol import Command, Shutdown, WatchReplica
from ..protocol.channel import Channel
from .fleet import Fleet
from .settings import AttachOptions
from .watched_gpus import watch_gpus
from .watched_server import WatchedServer

FLUSH_EVERY_S = 0.05
"""What the screen has not taken yet leaves so soon after it can."""
IDLE_TURN_S = 1.0
FLEET_EVERY_S = 1.0


async def read_servers(channel: Channel[Command], options: AttachOptions) -> None:
    """Watch all servers until the screen says `Shutdown` or is gone."""
    fleet = Fleet(options.servers, channel.send)
    tasks = [asyncio.create_task(each.run()) for each in watched(options, fleet)]
    if len(options.servers) > 1:
        tasks.append(asyncio.create_task(_sample(fleet, channel)))
    tasks += [
        asyncio.create_task(watch_gpus(server, channel.send))
        for server in options.servers
        if server.dcgm is not None
    ]
    until = asyncio.create_task(_until_shutdown(channel, fleet))
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


def watched(options: AttachOptions, fleet: Fleet) -> list[WatchedServer]:
    """What asks each of the servers."""
    return [WatchedServer(each, partial(fleet.take, each.name)) for each in options.servers]


async def _sample(fleet: Fleet, channel: Channel[Command]) -> None:
    while True:
        channel.send(fleet.sample())
        await asyncio.sleep(FLEET_EVERY_S)


async def _until_shutdown(channel: Channel[Command], fleet: Fleet) -> None:
    loop, readable = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(channel.fileno(), readable.set)
    try:
        while not channel.closed:
            with contextlib.suppress(TimeoutError):
                # With every turn what waits in the outbox is written as well.
                wait_s = FLUSH_EVERY_S if channel.unsent_bytes else IDLE_TURN_S
                await asyncio.wait_for(readable.wait(), wait_s)
            readable.clear()
            for command in channel.receive():
                if isinstance(command, Shutdown):
                    return
                if isinstance(command, WatchReplica):
                    fleet.choose(command.name)
    finally:
        with contextlib.suppress(ValueError, OSError):
            loop.remove_reader(channel.fileno())
