"""Watched servers as one fleet: a row for each, and the frames of the one that is chosen."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
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
from .watches import interval_of

STALE_AFTER_S, STALE_SCRAPES = 3.0, 2.5


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
        self._every_s = _intervals(servers)
        self.on_choice: Callable[[str], object] = lambda _name: None
        """Told which server is looked at from now on."""
        self.note = ""
        """What is wrong with where the list of servers comes from."""
        self._taken_at_s: dict[str, float] = {}
        self._newest: dict[str, list[Message]] = {}

    def set(self, servers: Sequence[NamedServer]) -> None:
        """These are the servers from now on. Where the one that is looked at has gone, the first
        of them takes its place."""
        # Another address by the same name is another server.
        before = {
            server.name: row
            for server in servers
            if (row := self._rows.get(server.name)) is not None and row.url == server.url
        }
        self._every_s = _intervals(servers)
        self._rows = {
            server.name: _of_now(before[server.name], server)
            if server.name in before
            else _unasked(server)
            for server in servers
        }
        for kept in (self._taken_at_s, self._newest):
            for name in kept.keys() - before.keys():
                del kept[name]
        if self.chosen not in self._rows:
            self.choose(next(iter(self._rows), ""))

    def take(self, name: str, message: Message) -> None:
        """A message of the server of that name; one that is no more watched is not heard."""
        before = self._rows.get(name)
        if before is None:
            return
        match message:
            case Frame():
                self._rows[name] = _row(before, message)
                self._taken_at_s[name] = self._clock()
                self._newest[name] = [message]
            case ServerDown(reason=reason):
                self._rows[name] = _down(before, reason)
                self._newest[name] = [message]
            case _:
                pass
        if name == self.chosen:
            self._tell(message)

    def choose(self, name: str) -> None:
        """Send the frames of this server from now on, and at once the newest one."""
        if name == self.chosen or (name and name not in self._rows):
            return
        self.chosen = name
        self.on_choice(name)
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
            note=self.note or None,
            replicas=[self._aged(name, row, now_s) for name, row in self._rows.items()],
        )

    def _aged(self, name: str, row: Replica, now_s: float) -> Replica:
        taken_at_s = self._taken_at_s.get(name)
        if taken_at_s is None or row.down is not None:
            return row
        age_s, every_s = now_s - taken_at_s, self._every_s.get(name, SCRAPE_INTERVAL_S)
        stale = age_s > max(STALE_AFTER_S, STALE_SCRAPES * every_s)
        return msgspec.structs.replace(row, age_s=age_s, stale=stale)


def _intervals(servers: Sequence[NamedServer]) -> dict[str, float]:
    return {server.name: interval_of(server, len(servers)) for server in servers}


NODE_LABELS = ("node", "kubernetes_node", "nodename", "hostname", "host")
MODEL_LABELS = ("model_name", "model")
VERSION_LABELS = ("version",)
"""Of a discovery file: what says on which machine a server is, what it is to serve, and by which
release. Model and version are taken where the server itself does not tell them."""


def _unasked(server: NamedServer) -> Replica:
    told = server.labels
    return Replica(
        name=server.name,
        url=server.url,
        node=_first(told, NODE_LABELS) or urlsplit(server.url).hostname or "",
        model=_model(told),
        version=_version(told),
        labels=told,
    )


def _first(labels: Mapping[str, str], names: Iterable[str]) -> str:
    return next((labels[name] for name in names if labels.get(name)), "")


def _model(labels: Mapping[str, str]) -> str:
    return _first(labels, MODEL_LABELS)


def _version(labels: Mapping[str, str]) -> str | None:
    return _first(labels, VERSION_LABELS) or None


def _of_now(row: Replica, server: NamedServer) -> Replica:
    """A row with what is said of its server now."""
    new = _unasked(server)
    # What a label said before is none of the server's own.
    model = new.model if row.model in ("", _model(row.labels)) else row.model
    version = new.version if row.version in (None, _version(row.labels)) else row.version
    return msgspec.structs.replace(
        row, url=new.url, node=new.node, labels=new.labels, model=model, version=version
    )


def _down(before: Replica, reason: str) -> Replica:
    return Replica(
        name=before.name,
        url=before.url,
        kind=before.kind,
        version=before.version,
        model=before.model,
        node=before.node,
        labels=before.labels,
        down=reason,
    )


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
        labels=before.labels,
        kind=before.kind if attached is None else attached.kind,
        version=(attached.version if attached else None) or _version(before.labels),
        model=frame.model.name or _model(before.labels),
        running=queue.running,
        waiting=queue.waiting,
        kv_used=used,
        ttft_p95_ms=None if ttft is None else ttft.p95_ms,
        ttft_below_ms=None if ttft is None else ttft.below_ms,
        decode_tok_s=frame.throughput.decode_tok_s,
        requests_per_s=frame.throughput.requests_per_s,
        prefix_hits=None if rates is None else rates.prefix,
    )
