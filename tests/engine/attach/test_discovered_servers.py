"""The reader over discovery files: servers come into the fleet and leave it as a file changes."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from faulty_server import serving
from prodtop.engine.attach.asking.settings import AttachOptions, NamedServer, TargetFile
from prodtop.engine.attach.fleet import Fleet
from prodtop.engine.attach.watched_server import WatchedServer
from prodtop.engine.attach.watches import MOST_READ_WHOLE, Watches
from prodtop.engine.client.attached_engine import reader_command
from prodtop.engine.client.child import Child
from prodtop.engine.protocol import (
    REPORT_DECODER,
    FleetSample,
    Frame,
    Message,
    Replica,
    Report,
    ServerDown,
)
from test_attached_server import metrics

WITHIN_S = 30.0


class Reader:
    """The reader process, and what it sent last."""

    def __init__(self, child: Child[Report]) -> None:
        self._child = child
        self.sample: FleetSample | None = None
        self.down: ServerDown | None = None
        self.frames = 0

    async def until(self, holds: Callable[[], bool]) -> None:
        """Take what comes until something holds."""
        async with asyncio.timeout(WITHIN_S):
            while not holds():
                for report in self._child.poll():
                    if isinstance(report, FleetSample):
                        self.sample = report
                    elif isinstance(report, ServerDown):
                        self.down = report
                    self.frames += isinstance(report, Frame)
                await asyncio.sleep(0.02)

    @property
    def rows(self) -> dict[str, Replica]:
        return {} if self.sample is None else {row.name: row for row in self.sample.replicas}

    def shows(self, *names: str) -> bool:
        """Whether these are the rows, and each is told of."""
        rows = self.rows
        return set(rows) == set(names) and all(row.running is not None for row in rows.values())

    def says(self, text: str) -> bool:
        return self.sample is not None and text in (self.sample.note or "")


@asynccontextmanager
async def reading(path: Path) -> AsyncIterator[Reader]:
    """A reader of what this file names."""
    options = AttachOptions(servers=[], target_files=[TargetFile(path=str(path), interval_s=0.1)])
    child = Child("reader", lambda: reader_command(options), REPORT_DECODER)
    child.start()
    try:
        yield Reader(child)
    finally:
        await asyncio.to_thread(child.stop)


def write(path: Path, *targets: str, **labels: str) -> None:
    new = path.with_name("new")
    new.write_text(json.dumps([{"targets": targets, "labels": labels}]))
    new.replace(path)


async def test_a_change_of_the_file_is_seen_without_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "fleet.json"
    async with (
        serving(metrics(100, running=1)) as one,
        serving(metrics(100, running=2)) as two,
        reading(path) as reader,
    ):
        a, b = (server.url.removeprefix("http://") for server in (one, two))
        await reader.until(lambda: reader.down is not None)
        assert reader.down is not None
        assert "there is no such file" in reader.down.reason
        write(path, a, node="rack-1", version="7.1")
        await reader.until(lambda: reader.shows(a))
        assert (reader.rows[a].node, reader.rows[a].version) == ("rack-1", "7.1")
        assert reader.rows[a].model == "tiny", "what the server tells comes before a label"
        write(path, a, b, node="rack-2")
        await reader.until(lambda: reader.shows(a, b))
        assert {row.node for row in reader.rows.values()} == {"rack-2"}
        assert {row.running for row in reader.rows.values()} == {1, 2}
        path.write_text("[{")
        await reader.until(lambda: reader.says("is no JSON"))
        assert reader.shows(a, b), "the last good state stays"
        frames = reader.frames
        write(path, b)
        await reader.until(lambda: reader.shows(b) and not reader.says("is no JSON"))
        assert reader.sample is not None
        assert reader.sample.chosen == b
        await reader.until(lambda: reader.frames > frames + 3)
        asked = len(one.requests)
        await reader.until(lambda: reader.frames > frames + 8)
        assert len(one.requests) == asked, "who has left is not asked any more"


def server(number: int, url: str = "http://127.0.0.1:1", **labels: str) -> NamedServer:
    return NamedServer(url=url, name=f"s{number}", labels=labels)


async def test_only_what_has_changed_is_watched_anew() -> None:
    begun: list[NamedServer] = []

    def watch(each: NamedServer, tell: Callable[[Message], object]) -> WatchedServer:
        begun.append(each)
        return WatchedServer(each, tell)

    watches = Watches(lambda _name, _message: None, watch=watch)
    watches.set([server(1), server(2)])
    assert [each.name for each in begun] == ["s1", "s2"]
    watches.set([server(2, node="n2"), server(3)])
    assert [each.name for each in begun] == ["s1", "s2", "s3"], "a label restarts nothing"
    watches.set([server(2, url="http://127.0.0.1:2"), server(3)])
    assert [each.name for each in begun] == ["s1", "s2", "s3", "s2"]
    running = asyncio.create_task(watches.run())
    await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_what_breaks_a_watch_reaches_who_runs_them() -> None:
    class Broken(WatchedServer):
        async def round(self) -> float:
            raise ZeroDivisionError

    watches = Watches(lambda _name, _message: None, watch=Broken)
    running = asyncio.create_task(watches.run())
    await asyncio.sleep(0)
    watches.set([server(1)])
    with pytest.raises(ZeroDivisionError):
        async with asyncio.timeout(WITHIN_S):
            await running


def test_the_rows_of_a_fleet_follow_its_list() -> None:
    told: list[Message] = []
    fleet = Fleet([server(1), server(2)], told.append)
    fleet.take("s1", ServerDown(name="s1", reason="refuses connections", retry_in_s=1.0))
    fleet.set([server(1, model="qwen", version="2"), server(3)])
    first, third = fleet.sample().replicas
    assert (first.name, first.model, first.version) == ("s1", "qwen", "2")
    assert first.down == "refuses connections", "what is known of it stays"
    assert third.name == "s3"
    fleet.set([server(1, url="http://other:1"), server(3)])
    assert fleet.sample().replicas[0].down is None, "another address is another server"
    fleet.set([server(3)])
    assert fleet.chosen == "s3"
    fleet.take("s1", ServerDown(name="s1", reason="late", retry_in_s=1.0))
    assert [row.name for row in fleet.sample().replicas] == ["s3"]
    fleet.set([])
    assert (fleet.chosen, fleet.sample().replicas) == ("", [])


async def test_of_many_servers_only_rows_are_read_but_for_those_that_were_looked_at() -> None:
    begun: dict[str, WatchedServer] = {}

    def watch(each: NamedServer, tell: Callable[[Message], object]) -> WatchedServer:
        begun[each.name] = WatchedServer(each, tell)
        return begun[each.name]

    def whole() -> set[str]:
        return {name for name, each in begun.items() if not each.reading.of_a_row}

    watches = Watches(lambda _name, _message: None, watch=watch)
    watches.look_at("s0")
    watches.set([server(each) for each in range(MOST_READ_WHOLE + 1)])
    assert whole() == {"s0"}
    watches.look_at("s7")
    assert whole() == {"s0", "s7"}, "what was looked at keeps its past"
    watches.set([server(each) for each in (7, 8)])
    assert whole() == {"s0", "s7"}
    watches.set([server(each) for each in (7, 8, 9)])
    assert whole() >= {"s7", "s9"}, "of few servers all is read"
    watches.set([])
