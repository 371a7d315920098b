"""What watching a fleet costs: CPU and memory of the reader, and CPU of the screen's table.

    python benchmarks/attach_fleet.py [--replicas 500] [--seconds 20] [--direct]

A process of its own answers as a Prometheus that collects so many vLLM servers does. The reader
process asks it every second, and for all series of one server as well. Its samples come over the
wire as to the screen, whose code judges and sorts the rows and draws those in sight. With
`--direct` the process answers as each of the servers itself, with 100 kB a scrape. Prints one line.
"""

import argparse
import asyncio
import multiprocessing
import random
import re
import socket
import time
from collections.abc import Iterator
from urllib.parse import parse_qs

import msgspec
import psutil
from attach_exposition import exposition
from prodtop.engine.attach.asking.settings import AttachOptions, NamedServer, PrometheusSettings
from prodtop.engine.attach.prometheus.queries import COLUMN, UP
from prodtop.engine.client.attached_engine import reader_command
from prodtop.engine.client.child import Child
from prodtop.engine.protocol import REPORT_DECODER, FleetSample, Report
from prodtop.tui.state.fleet import FleetBook, FleetOrder
from prodtop.tui.style.glyphs import UNICODE
from prodtop.tui.views.fleet.table import fleet_view
from prodtop.tui.views.panel import Room

HOST = "127.0.0.1"
ROOM = Room(116, 30, UNICODE)
SCRAPES = 8
SERIES = re.compile(r"^([\w:]+)\{(.*)\} (\S+)$", re.MULTILINE)
NOTHING = b'{"status":"success","data":{"result":[]}}'
COLUMNS = re.compile(rf'"{COLUMN}", "(\w+)"')
LABEL = re.compile(r'(\w+)="([^"]*)"')


def collected(expression: str, replicas: int) -> bytes:
    """What a Prometheus gives for an expression: a value for each server, or one's series."""
    if 'instance="' in expression:
        found = SERIES.findall(exposition(1).decode())
        told = [({"__name__": name, **dict(LABEL.findall(own))}, v) for name, own, v in found]
    else:
        told = list(_of_each(expression, replicas))
    now_s = time.time()
    series = [{"metric": labels, "value": [now_s, text]} for labels, text in told]
    return msgspec.json.encode({"status": "success", "data": {"result": series}})


def _of_each(expression: str, replicas: int) -> Iterator[tuple[dict[str, str], str]]:
    dice = random.Random(expression)
    columns = COLUMNS.findall(expression)
    for number in range(replicas):
        labels = {"instance": f"10.0.{number // 256}.{number % 256}:8000"}
        for column in columns:
            yield {**labels, COLUMN: column}, "1" if column == UP else str(dice.random())
        if columns:
            continue
        if "__name__)" in expression:
            model = f"meta-llama/Llama-{number % 5}"
            labels |= {"__name__": "vllm:num_requests_running", "model_name": model, "job": "vllm"}
        yield labels, str(dice.random())


def serve(
    port: int, replicas: int, counted: "multiprocessing.sharedctypes.Synchronized[int]"
) -> None:
    """Answer queries and scrapes until the process is ended; each answer is made once."""
    known: dict[str, bytes] = {}
    scrapes = [exposition(number) for number in range(SCRAPES)]

    def answer(target: str) -> tuple[bytes, bytes]:
        if target.endswith("/metrics"):
            counted.value += 1
            return b"200 OK", scrapes[counted.value // replicas % SCRAPES]
        if "query_range" in target:
            return b"200 OK", NOTHING
        query = parse_qs(target.partition("?")[2]).get("query")
        if query is None:
            return b"404 Not Found", b""
        if query[0] not in known:
            known[query[0]] = collected(query[0], replicas)
        return b"200 OK", known[query[0]]

    async def on_client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except (asyncio.IncompleteReadError, ConnectionError):
                return
            status, body = answer(head.split(b" ")[1].decode())
            writer.write(b"HTTP/1.1 %s\r\ncontent-length: %d\r\n\r\n" % (status, len(body)) + body)
            await writer.drain()

    async def run() -> None:
        server = await asyncio.start_server(on_client, HOST, port, backlog=replicas)
        await server.serve_forever()

    asyncio.run(run())


class Table:
    """The screen's side: takes samples in and draws the rows in sight."""

    def __init__(self) -> None:
        self._book = FleetBook()
        self._top = 0
        self.shown = 0
        self.took_s = 0.0

    def show(self, sample: FleetSample) -> None:
        """A sample came; every second the next page is in sight."""
        began_s = time.process_time()
        self._book.take(sample, 4.0)
        assert self._book.now is not None
        view = fleet_view(self._book.now, FleetOrder(), ROOM)
        self._top = (self._top + ROOM.height) % max(1, len(view.rows) - ROOM.height)
        assert all(row.drawn.width for row in view.rows[self._top : self._top + ROOM.height])
        self.took_s += time.process_time() - began_s
        self.shown += 1


def options(url: str, replicas: int, *, direct: bool) -> AttachOptions:
    """What the reader is told."""
    if direct:
        named = [NamedServer(url=f"{url}/{each}", name=f"s{each}") for each in range(replicas)]
        return AttachOptions(servers=named)
    return AttachOptions(servers=[], prometheus=PrometheusSettings(url=url, interval_s=1.0))


def watch(reader: Child[Report], table: Table, seconds: float) -> None:
    """Take what the reader sends for so long."""
    until_s = time.monotonic() + seconds
    while time.monotonic() < until_s:
        for report in reader.poll():
            if isinstance(report, FleetSample) and report.replicas:
                table.show(report)
        time.sleep(0.05)


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--replicas", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--direct", action="store_true")
    given = parser.parse_args()
    with socket.socket() as free:
        free.bind((HOST, 0))
        port = free.getsockname()[1]
    context = multiprocessing.get_context("spawn")
    counted = context.Value("q", 0)
    server = context.Process(target=serve, args=(port, given.replicas, counted), daemon=True)
    server.start()
    while not _listens(port):
        time.sleep(0.1)
    told = options(f"http://{HOST}:{port}", given.replicas, direct=given.direct)
    reader, table = Child("reader", lambda: reader_command(told), REPORT_DECODER), Table()
    reader.start()
    # Until each server has been asked twice: then labels are known, and windows have a start.
    watch(reader, table, 60.0 if given.direct else 5.0)
    assert reader.pid is not None
    process = psutil.Process(reader.pid)
    table.shown, table.took_s, asked = 0, 0.0, counted.value
    before, began_s = process.cpu_times(), time.monotonic()
    watch(reader, table, given.seconds)
    after, span_s = process.cpu_times(), time.monotonic() - began_s
    used_s = after.user + after.system - before.user - before.system
    memory_mib = process.memory_info().rss / 2**20
    reader.stop()
    server.terminate()
    asked = counted.value - asked
    each = (
        f", {asked / span_s:.0f} answers a second, {used_s / asked * 1e3:.2f} ms each"
        if asked
        else ""
    )
    print(
        f"{given.replicas} replicas: the reader takes {used_s / span_s:.2%} of a core"
        f" at {table.shown / span_s:.1f} samples a second{each}, {memory_mib:.0f} MiB;"
        f" the table {table.took_s / max(1, table.shown) * 1e3:.1f} ms a sample"
    )


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


if __name__ == "__main__":
    main()
