"""The reader process: asks the servers, and sends what becomes of that to the screen."""

import asyncio
import contextlib
from collections.abc import Coroutine, Sequence
from typing import Protocol

from ..protocol import Command, ServerDown, Shutdown, WatchReplica
from ..protocol.channel import Channel
from .asking.settings import AttachOptions
from .beside import Beside
from .file_sd.files import TargetFiles
from .file_sd.servers import named_apart
from .fleet import Fleet
from .prometheus.fleet_source import PrometheusFleet
from .watched_gpus import watch_gpus
from .watches import Watches

FLUSH_EVERY_S = 0.05
"""What the screen has not taken yet leaves so soon after it can."""
IDLE_TURN_S = 1.0
FLEET_EVERY_S = 1.0
FILES_EVERY_S = 1.0
"""How often discovery files are looked at."""


class Chooses(Protocol):
    """Whose frames are sent can be chosen; other commands are for what is measured."""

    def choose(self, name: str) -> None: ...

    def on_command(self, command: Command) -> None: ...


async def read_servers(channel: Channel[Command], options: AttachOptions) -> None:
    """Watch all servers until the screen says `Shutdown` or is gone."""
    if options.prometheus is not None:
        collected = PrometheusFleet(options.prometheus, channel.send)
        await _run(channel, collected, [collected.run()])
        return
    servers = options.servers
    fleet = Fleet(servers, channel.send)
    beside = Beside(servers, fleet, channel.send)
    watches = Watches(beside.take)
    fleet.on_choice = watches.look_at
    watches.set(servers)
    watches.look_at(fleet.chosen)
    work: list[Coroutine[object, object, None]] = [watches.run()]
    if len(servers) > 1 or options.target_files:
        work.append(_sample(fleet, channel))
    if options.target_files:
        work.append(_follow(options, watches, fleet, channel))
    work += [watch_gpus(each, channel.send) for each in servers if each.dcgm is not None]
    with beside:
        if beside.measures:
            work.append(beside.report())
        await _run(channel, beside, work)


async def _follow(
    options: AttachOptions, watches: Watches, fleet: Fleet, channel: Channel[Command]
) -> None:
    """Watch what discovery files name, as they change."""
    files = TargetFiles(options.target_files)
    while True:
        # In a thread: a folder may be on another machine that does not answer.
        found = await asyncio.to_thread(files.look)
        if found is not None:
            servers = named_apart((*options.servers, *found.servers))
            fleet.note = "; ".join(found.notes)
            fleet.set(servers)
            watches.set(servers)
            if not servers:
                where = options.target_files[0].path
                reason = fleet.note or "names no server"
                channel.send(ServerDown(name=where, reason=reason, retry_in_s=FILES_EVERY_S))
        await asyncio.sleep(FILES_EVERY_S)


async def _run(
    channel: Channel[Command], chooses: Chooses, work: Sequence[Coroutine[object, object, None]]
) -> None:
    """Do all the work until the screen says `Shutdown`, or is gone."""
    tasks = [asyncio.create_task(each) for each in (_until_shutdown(channel, chooses), *work)]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            # A watch never ends by itself: what ended it is a defect, for the process's edge.
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks, return_exceptions=True)


async def _sample(fleet: Fleet, channel: Channel[Command]) -> None:
    while True:
        channel.send(fleet.sample())
        await asyncio.sleep(FLEET_EVERY_S)


async def _until_shutdown(channel: Channel[Command], chooses: Chooses) -> None:
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
                    chooses.choose(command.name)
                else:
                    chooses.on_command(command)
    finally:
        with contextlib.suppress(ValueError, OSError):
            loop.remove_reader(channel.fileno())
