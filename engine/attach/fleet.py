"""Watched servers as one fleet: a row for each, and the frames of the one that is chosen."""

import time
from collections.abc import Callable
from urllib.parse import urlsplit

import msgspec

from ..protocol import (
    FleetSample,
    Frame,
    Message,
    Replica,
    ServerBack,
    ServerDown,
    Window,
)
from .asking.settings import SCRAPE_INTERVAL_S, NamedServer

STALE_AFTER_S, STALE_SCRAPES = 3.0, 2.5
MOST_SCRAPES_PER_S = 20.0
"""Of all servers together: an answer takes some 3 ms of a core to read."""


def spread_out(servers: list[NamedServer]) -> list[NamedServer]:
    """The servers, asked less often where there are many of them."""
    least_s = len(servers) / MOST_SCRAPES_PER_S
    return [
        msgspec.structs.replace(each, interval_s=max(each.interval_s, least_s)) for each in servers
    ]


class Fleet:
    """Takes what the watches of servers tell; passes on frames and events of the chosen one alone.

    `tell` sends to the screen; `clock` is monotonic, `wall` Unix time.
    """

    def __init__(
        self,
        servers: list[NamedServer],
        tell: Callable[[Message], object],
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._tell = tell
        self._clock, self._wall = clock, wall
        self.chosen = servers[0].name if servers else ""
        self._rows = {server.name: _unasked(server) for server in servers}
        self._every_s = {server.name: server.interval_s for server in servers}
        self._taken_at_s: dict[str, float] = {}
        self._newest: dict[str, list[Message]] = {}

    def take(self, name: str, message: Message) -> None:
        """A message of the server of that name."""
        before = self._rows.get(name, Replica(name=name))
        match message:
            case Frame():
                self._rows[name] = _row(before, message)
                self._taken_at_s[name] = self._clock()
                self._newest[name] = [message]
            case ServerDown(reason=reason):
                self._rows[name] = Replica(
                    name=name,
                    url=before.url,
                    kind=before.kind,
                    version=before.version,
                    model=before.model,
                    node=before.node,
                    down=reason,
                )
                self._newest[name] = [message]
            case _:
                pass
        if name == self.chosen:
            self._tell(message)

    def choose(self, name: str) -> None:
        """Send the frames of this server from now on, and at once the newest one."""
        if name not in self._rows or name == self.chosen:
            return
        self.chosen = name
        for message in self._newest.get(name, []):
            if isinstance(message, Frame):
                self._tell(ServerBack(name=name))
            self._tell(message)

    def sample(self) -> FleetSample:
        """All rows as they are now."""
        now_s = self._clock()
        return FleetSample(
            at_s=now_s,
            wall_s=self._wall(),
            chosen=self.chosen,
            replicas=[self._aged(name, row, now_s) for name, row in self._rows.items()],
        )

    def _aged(self, name: str, row: Replica, now_s: float) -> Replica:
        taken_at_s = self._taken_at_s.get(name)
        if taken_at_s is None or row.down is not None:
            return row
        age_s, every_s = now_s - taken_at_s, self._every_s.get(name, SCRAPE_INTERVAL_S)
        stale = age_s > max(STALE_AFTER_S, STALE_SCRAPES * every_s)
        return msgspec.structs.replace(row, age_s=age_s, stale=stale)


def _unasked(server: NamedServer) -> Replica:
    return Replica(name=server.name, url=server.url, node=urlsplit(server.url).hostname or "")


def _row(before: Replica, frame: Frame) -> Replica:
    attached, queue = frame.attached, frame.queue
    latency = frame.latency.get(Window.M1)
    ttft = None if latency is None else latency.ttft
    rates = frame.cache.rates.get(Window.M1)
    blocks = frame.cache.blocks
    used = frame.cache.usage
    if blocks is not None and blocks.total:
        used = blocks.running / blocks.total
    return Replica(
        name=before.name,
        url=before.url,
        node=before.node,
        kind=before.kind if attached is None else attached.kind,
        version=None if attached is None else attached.version,
        model=frame.model.name,
        running=queue.running,
        waiting=queue.waiting,
        kv_used=used,
        ttft_p95_ms=None if ttft is None else ttft.p95_ms,
        ttft_below_ms=None if ttft is None else ttft.below_ms,
        decode_tok_s=frame.throughput.decode_tok_s,
        requests_per_s=frame.throughput.requests_per_s,
        prefix_hits=None if rates is None else rates.prefix,
    )
