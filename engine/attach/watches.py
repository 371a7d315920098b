"""The watches of all servers of a fleet: each asked at its own place in the interval."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

import msgspec

from ..protocol import Message
from .asking.settings import NamedServer
from .watched_server import WatchedServer

MOST_SCRAPES_PER_S = 20.0
"""Of all servers together: an answer of 100 kB takes some 3 ms of a core to read."""
MOST_READ_WHOLE = 20
"""Of more servers only what a row shows is read, but for those that were looked at."""
AT_ONCE = 32
"""So many servers are asked at once: if all were, the reader could not take their answers in
within the time that each may have, and would call them down. Half of them may hang."""
_PLACES = 0.618033988749895
"""Golden ratio: multiples of it, taken modulo 1, lie evenly however many there are."""


def interval_of(server: NamedServer, servers: int) -> float:
    """How often one of so many servers is asked: less often where there are many."""
    return max(server.interval_s, servers / MOST_SCRAPES_PER_S)


def _is_asked_alike(server: NamedServer, other: NamedServer) -> bool:
    """Whether a watch of one is one of the other: labels say nothing of how it is asked."""
    return msgspec.structs.replace(server, labels=other.labels) == other


class Watches:
    """Runs a watch for each server of the list that was set last. `tell` gets what a server of a
    name tells."""

    def __init__(
        self,
        tell: Callable[[str, Message], object],
        *,
        watch: Callable[[NamedServer, Callable[[Message], object]], WatchedServer] = WatchedServer,
    ) -> None:
        self._tell = tell
        self._watch = watch
        self._gate = asyncio.Semaphore(AT_ONCE)
        self._running: dict[str, tuple[NamedServer, WatchedServer, asyncio.Task[None]]] = {}
        self._begun = 0
        self._looked_at = ""
        self._broken: asyncio.Future[None] | None = None

    def set(self, servers: Sequence[NamedServer]) -> None:
        """Watch these from now on: those that are no more in it, or others by now, are let go."""
        wanted = {server.name: server for server in servers}
        for name, (server, watched, task) in list(self._running.items()):
            now = wanted.get(name)
            if now is not None and _is_asked_alike(server, now):
                self._running[name] = (now, watched, task)
            else:
                task.cancel()
                del self._running[name]
        for name, server in wanted.items():
            if name not in self._running:
                self._begin(server, len(wanted))
        self._pace()

    def look_at(self, name: str) -> None:
        """Ask this server as often as it may be from now on, and at once."""
        self._looked_at = name
        self._pace()
        if name in self._running:
            self._running[name][1].ask_now()

    def _begin(self, server: NamedServer, servers: int) -> None:
        watched = self._watch(server, partial(self._tell, server.name))
        watched.read(of_a_row=servers > MOST_READ_WHOLE)
        every_s = interval_of(server, servers)
        at_once = server.name == self._looked_at
        after_s = 0.0 if at_once else self._begun * _PLACES % 1 * every_s
        self._begun += 1
        task = asyncio.create_task(watched.run(self._gate, after_s))
        task.add_done_callback(self._ended)
        self._running[server.name] = (server, watched, task)

    def _pace(self) -> None:
        for name, (server, watched, _) in self._running.items():
            others = len(self._running)
            if name == self._looked_at:
                # From now on, also when another is looked at: its past would be lost.
                watched.read(of_a_row=False)
                others = 1
            every_s = interval_of(server, others)
            if watched.server.interval_s != every_s:
                watched.server = msgspec.structs.replace(server, interval_s=every_s)

    async def run(self) -> None:
        """Until it is cancelled; then all watches end. Raises what broke one of them."""
        self._broken = asyncio.get_running_loop().create_future()
        try:
            await self._broken
        finally:
            tasks = [task for _, _, task in self._running.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """A watch never ends by itself: what ended it is a defect, for the process's edge."""
        broken = self._broken
        if task.cancelled() or broken is None or broken.done():
            return
        error = task.exception()
        if error is not None:
            broken.set_exception(error)
