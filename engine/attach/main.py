"""The reader process: asks the servers, and sends what becomes of that to the screen."""

import asyncio
import contextlib
from collections.abc import Callable

from ..protocol import (
    REQUESTS_INTERVAL_S,
    Command,
    InspectRequest,
    Message,
    SetSlo,
    Shutdown,
)
from ..protocol.channel import Channel
from .measuring import Measuring
from .settings import AttachOptions
from .watched_gpus import watch_gpus
from .watched_server import WatchedServer

FLUSH_EVERY_S = 0.05
"""What the screen has not taken yet leaves so soon after it can."""
IDLE_TURN_S = 1.0


async def read_servers(channel: Channel[Command], options: AttachOptions) -> None:
    """Watch all servers until the screen says `Shutdown` or is gone."""
    measuring = [Measuring(server) for server in options.servers]
    try:
        for each in measuring:
            each.start()
        await _watch(channel, options, measuring)
    finally:
        for each in measuring:
            each.close()


async def _watch(
    channel: Channel[Command], options: AttachOptions, measuring: list[Measuring]
) -> None:
    servers = [
        WatchedServer(server, channel.send, overlay=each.overlay)
        for server, each in zip(options.servers, measuring, strict=True)
    ]
    tasks = [asyncio.create_task(each.run()) for each in servers]
    tasks += [asyncio.create_task(_tell(each, channel.send)) for each in measuring]
    tasks += [
        asyncio.create_task(watch_gpus(server, channel.send))
        for server in options.servers
        if server.dcgm is not None
    ]
    until = asyncio.create_task(_until_shutdown(channel, measuring))
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


async def _tell(measuring: Measuring, tell: Callable[[Message], object]) -> None:
    """Send what was measured of single requests, as often as a screen shows it."""
    while True:
        for report in measuring.reports():
            tell(report)
        await asyncio.sleep(REQUESTS_INTERVAL_S)


async def _until_shutdown(channel: Channel[Command], measuring: list[Measuring]) -> None:
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
                match command:
                    case Shutdown():
                        return
                    case InspectRequest(request_id=request_id):
                        for each in measuring:
                            each.inspect(request_id)
                    case SetSlo(slo=slo):
                        for each in measuring:
                            each.set_slo(slo)
                    case _:
                        pass
    finally:
        with contextlib.suppress(ValueError, OSError):
            loop.remove_reader(channel.fileno())
