"""What the attach proxy adds to the way of a stream, and whether many streams pass it whole.

Server, proxy and client are processes of their own. Each piece says when it left the server, on the
clock that all three share; half of the streams go straight to the server, the other half through
the proxy. Every stream, head and chunks included, is compared by its SHA-256 with what was sent.

    python benchmarks/attach_proxy.py --streams 1 --seconds 20
    python benchmarks/attach_proxy.py --streams 200 --seconds 300 --proxied-only
    python benchmarks/attach_proxy.py --streams 4 --seconds 60 --gap-ms 5 --scrapes-per-s 1

With `--scrapes-per-s` the proxy's process reads 80 kB of metrics so often, as the reader process
does in which the proxy is; pieces that were on their way meanwhile are told apart. With `--apart`
another process reads them: what is left then is of the cores, not of the process that both share.
"""

import argparse
import asyncio
import hashlib
import json
import math
import multiprocessing
import os
import random
import resource
import select
import subprocess
import sys
import time
from dataclasses import dataclass, field
from multiprocessing.connection import Connection

import msgspec
import numpy as np
from attach_exposition import exposition
from prodtop.engine.attach.proxy.proxy import HOST, Proxy
from prodtop.engine.attach.reading.server_reading import ServerReading
from prodtop.engine.protocol import ENCODER

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
END = b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"
PIECE_BYTES = 40
"""Random text in each piece, beside its time."""


def chunk(content: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(content), content)


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Streams as many pieces as the request asks for; of the last stream `GET` tells the hash."""
    digest = hashlib.sha256()
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            if head.startswith(b"GET"):
                told = digest.hexdigest().encode()
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(told) + told)
                continue
            length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            body = await reader.readexactly(length)
            asked = json.loads(body)
            draw = random.Random(asked["seed"])
            # What came is part of what is compared.
            got = hashlib.sha256(body).hexdigest()
            digest = hashlib.sha256(HEAD)
            writer.write(HEAD)
            for _ in range(asked["pieces"]):
                text = f"{got[:8]} {draw.randbytes(PIECE_BYTES // 2).hex()}"
                delta = {"content": f"{time.monotonic_ns()} {text}"}
                event = {"choices": [{"index": 0, "delta": delta}]}
                part = chunk(b"data: " + json.dumps(event).encode() + b"\n\n")
                digest.update(part)
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(asked["gap_s"])
            digest.update(END)
            writer.write(END)
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def run_server() -> None:
    server = await asyncio.start_server(serve, HOST, 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


class Reader:
    """What the reader process does beside its proxy: it reads metrics, and makes frames of them."""

    def __init__(self, proxy: Proxy | None, per_s: float) -> None:
        self._proxy = proxy
        self._every_s = 1 / per_s if per_s else math.inf
        self._reading = ServerReading("http://a", "a")
        self._bodies = [exposition(number) for number in range(8)]
        self._count = 0
        self._due_s = time.monotonic() + self._every_s
        self.spans_ns: list[tuple[int, int]] = []
        """When it read, since it was asked last."""

    def until_asked(self) -> None:
        """Read what is due until somebody asks."""
        while not select.select([sys.stdin], [], [], self._wait_s())[0]:
            self._read()

    def _wait_s(self) -> float | None:
        return None if math.isinf(self._due_s) else max(0.0, self._due_s - time.monotonic())

    def _read(self) -> None:
        began_ns = time.monotonic_ns()
        self._count += 1
        body = self._bodies[self._count % len(self._bodies)]
        self._reading.take(body, "text/plain", began_ns / 1e9, time.time(), 0.0)
        frame = self._reading.frame(began_ns / 1e9, time.time())
        if frame is not None:
            ENCODER.encode(frame if self._proxy is None else self._proxy.overlay(frame))
        self.spans_ns.append((began_ns, time.monotonic_ns()))
        self._due_s += self._every_s


class ReaderApart(Reader):
    """The same in a process of its own."""

    def __init__(self, per_s: float) -> None:
        super().__init__(None, per_s)
        ours, theirs = multiprocessing.Pipe()
        self._spans, context = ours, multiprocessing.get_context("fork")
        context.Process(target=self._run, args=(theirs,), daemon=True).start()

    def until_asked(self) -> None:
        select.select([sys.stdin], [], [])
        while self._spans.poll():
            self.spans_ns.append(self._spans.recv())

    def _run(self, spans: "Connection[tuple[int, int], None]") -> None:
        # Else it would hold both ends, and outlive who reads the other one.
        self._spans.close()
        while True:
            time.sleep(self._wait_s() or 0.0)
            self._read()
            spans.send(self.spans_ns.pop())


def run_proxy(url: str, scrapes_per_s: float, *, apart: bool) -> None:
    """The proxy, its reports taken once a second as by the reader process; at the end its use."""
    proxy = Proxy(url, 0)
    # Before the proxy's thread begins: the process is forked.
    reader = ReaderApart(scrapes_per_s) if apart else Reader(proxy, scrapes_per_s)
    proxy.start()
    print(proxy.port, flush=True)
    finished = 0
    try:
        while True:
            reader.until_asked()
            if sys.stdin.readline().strip() != "report":
                break
            for report in proxy.reports():
                left_out = getattr(report, "left_out", None)
                if left_out is not None:
                    finished += len(getattr(report, "requests", ())) + left_out
            used = resource.getrusage(resource.RUSAGE_SELF)
            told = {"cpu_s": used.ru_utime + used.ru_stime, "peak_kib": used.ru_maxrss,
                    "finished": finished, "scrapes_ns": reader.spans_ns}  # fmt: skip
            reader.spans_ns = []
            print(json.dumps(told), flush=True)
    finally:
        proxy.close()


@dataclass
class Seen:
    """What clients saw of one way: delays of pieces and of first pieces, in ms."""

    pieces_ms: list[float] = field(default_factory=list)
    arrived_ns: list[int] = field(default_factory=list)
    """When each of the pieces came."""
    whole_ms: list[float] = field(default_factory=list)
    streams: int = 0
    bytes: int = 0
    differing: int = 0


async def client(port: int, seen: Seen, until_s: float, pieces: int, gap_s: float, n: int) -> None:
    """One stream after another on a connection that is kept alive."""
    reader, writer = await asyncio.open_connection(HOST, port)
    seed = n * 1_000_000
    while time.monotonic() < until_s:
        seed += 1
        asked = {
            "messages": [{"role": "user", "content": f"prompt {seed} " * 50}],
            "stream": True,
            "pieces": pieces,
            "gap_s": gap_s,
            "seed": seed,
        }
        body = json.dumps(asked).encode()
        began_ns = time.monotonic_ns()
        writer.write(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\ncontent-length: %d\r\n\r\n"
            % len(body) + body
        )  # fmt: skip
        digest, first = hashlib.sha256(), True
        async for line in reader:
            digest.update(line)
            seen.bytes += len(line)
            if line.startswith(b"data: {"):
                now_ns = time.monotonic_ns()
                at = line.index(b'"content": "') + 12
                sent_ns = int(line[at : line.index(b" ", at)])
                seen.pieces_ms.append((now_ns - sent_ns) / 1e6)
                seen.arrived_ns.append(now_ns)
                if first:
                    seen.whole_ms.append((now_ns - began_ns) / 1e6)
                    first = False
            elif line == b"0\r\n":
                break
        digest.update(await reader.readexactly(2))
        writer.write(b"GET /digest HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        seen.differing += (await reader.readexactly(64)).decode() != digest.hexdigest()
        seen.streams += 1
    writer.close()


def started(role: str, *arguments: str) -> tuple[subprocess.Popen[str], int]:
    process = subprocess.Popen(
        [sys.executable, __file__, "--role", role, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    return process, int(process.stdout.readline())


class Told(msgspec.Struct):
    """What the proxy's process says of itself."""

    cpu_s: float
    peak_kib: int
    finished: int
    scrapes_ns: list[tuple[int, int]]


def asked(process: "subprocess.Popen[str]") -> Told:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("report\n")
    process.stdin.flush()
    return msgspec.json.decode(process.stdout.readline(), type=Told)


async def measure(
    options: argparse.Namespace, direct: int, proxied: int, process: "subprocess.Popen[str]"
) -> tuple[Seen, Seen, list[tuple[int, int]]]:
    straight, through = Seen(), Seen()
    scrapes_ns = []
    until_s = time.monotonic() + options.seconds
    clients = []
    for n in range(options.streams):
        for port, seen in ((direct, straight), (proxied, through)):
            if seen is through or not options.proxied_only:
                work = client(port, seen, until_s, options.pieces, options.gap_ms / 1e3, n)
                clients.append(asyncio.create_task(work))
    while time.monotonic() < until_s:
        await asyncio.sleep(1.0)
        scrapes_ns += asked(process).scrapes_ns
    await asyncio.gather(*clients)
    return straight, through, scrapes_ns


def met(seen: Seen, scrapes_ns: list[tuple[int, int]]) -> list[float]:
    """The delays of pieces that were on their way while metrics were read."""
    if not scrapes_ns:
        return []
    begins, ends = np.array(scrapes_ns).T
    arrived = np.array(seen.arrived_ns)
    sent = arrived - (np.array(seen.pieces_ms) * 1e6).astype(np.int64)
    # The first reading that ends after a piece was sent: did it begin before the piece came?
    place = np.minimum(np.searchsorted(ends, sent), len(ends) - 1)
    held = (ends[place] >= sent) & (begins[place] <= arrived)
    return [float(delay) for delay in np.array(seen.pieces_ms)[held]]


def row(name: str, values: list[float]) -> str:
    found = np.percentile(values, [50, 95, 99]) if values else [float("nan")] * 3
    mean = float(np.mean(values)) if values else float("nan")
    return f"{name:<34}{mean:9.3f}{found[0]:9.3f}{found[1]:9.3f}{found[2]:9.3f}{len(values):10,}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--role", default="client")
    parser.add_argument("--url", default="")
    parser.add_argument("--streams", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--pieces", type=int, default=100)
    parser.add_argument("--gap-ms", type=float, default=20.0)
    parser.add_argument("--proxied-only", action="store_true")
    parser.add_argument("--scrapes-per-s", type=float, default=0.0)
    parser.add_argument("--apart", action="store_true")
    options = parser.parse_args()
    if options.role == "server":
        asyncio.run(run_server())
        return
    if options.role == "proxy":
        run_proxy(options.url, options.scrapes_per_s, apart=options.apart)
        return
    server, direct = started("server")
    proxy, proxied = started(
        "proxy",
        *("--url", f"http://{HOST}:{direct}"),
        *("--scrapes-per-s", str(options.scrapes_per_s)),
        *(["--apart"] if options.apart else []),
    )
    try:
        straight, through, scrapes_ns = asyncio.run(measure(options, direct, proxied, proxy))
        used = asked(proxy)
    finally:
        proxy.terminate()
        server.terminate()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; {options}")
    print(f"{'ms':<34}{'mean':>9}{'p50':>9}{'p95':>9}{'p99':>9}{'n':>10}")
    print(row("piece, straight", straight.pieces_ms))
    print(row("piece, through the proxy", through.pieces_ms))
    if scrapes_ns:
        took_ms = [(end - begin) / 1e6 for begin, end in scrapes_ns]
        print(row("the same, met by a reading", met(through, scrapes_ns)))
        print(row("reading metrics", took_ms))
    print(row("request to first piece, straight", straight.whole_ms))
    print(row("request to first piece, proxy", through.whole_ms))
    print(
        f"through the proxy: {through.streams:,} streams, {through.bytes:,} bytes,"
        f" {through.differing} of them differ; {used.finished:,} reported"
    )
    print(f"the proxy used {used.cpu_s:.1f} s of CPU, {used.peak_kib / 1024:.0f} MiB at most")


if __name__ == "__main__":
    main()
