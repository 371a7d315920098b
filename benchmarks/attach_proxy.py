"""What the attach proxy adds to the way of a stream, and whether many streams pass it whole.

Server, proxy and client are processes of their own. Each piece says when it left the server, on the
clock that all three share; half of the streams go straight to the server, the other half through
the proxy. Every stream, head and chunks included, is compared by its SHA-256 with what was sent.

    python benchmarks/attach_proxy.py --streams 1 --seconds 20
    python benchmarks/attach_proxy.py --streams 200 --seconds 300 --proxied-only
"""

import argparse
import asyncio
import hashlib
import json
import os
import random
import resource
import subprocess
import sys
import time
from dataclasses import dataclass, field

import numpy as np
from prodtop.engine.attach.proxy.proxy import HOST, Proxy

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


def run_proxy(url: str) -> None:
    """The proxy, its reports taken once a second as by the reader process; at the end its use."""
    proxy = Proxy(url, 0)
    proxy.start()
    print(proxy.port, flush=True)
    finished = 0
    try:
        while sys.stdin.readline().strip() == "report":
            for report in proxy.reports():
                left_out = getattr(report, "left_out", None)
                if left_out is not None:
                    finished += len(getattr(report, "requests", ())) + left_out
            used = resource.getrusage(resource.RUSAGE_SELF)
            told = {"cpu_s": used.ru_utime + used.ru_stime, "peak_kib": used.ru_maxrss,
                    "finished": finished}  # fmt: skip
            print(json.dumps(told), flush=True)
    finally:
        proxy.close()


@dataclass
class Seen:
    """What clients saw of one way: delays of pieces and of first pieces, in ms."""

    pieces_ms: list[float] = field(default_factory=list)
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


def asked(process: "subprocess.Popen[str]") -> dict[str, float]:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("report\n")
    process.stdin.flush()
    told: dict[str, float] = json.loads(process.stdout.readline())
    return told


async def measure(
    options: argparse.Namespace, direct: int, proxied: int, process: "subprocess.Popen[str]"
) -> tuple[Seen, Seen]:
    straight, through = Seen(), Seen()
    until_s = time.monotonic() + options.seconds
    clients = []
    for n in range(options.streams):
        for port, seen in ((direct, straight), (proxied, through)):
            if seen is through or not options.proxied_only:
                work = client(port, seen, until_s, options.pieces, options.gap_ms / 1e3, n)
                clients.append(asyncio.create_task(work))
    while time.monotonic() < until_s:
        await asyncio.sleep(1.0)
        asked(process)
    await asyncio.gather(*clients)
    return straight, through


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
    options = parser.parse_args()
    if options.role == "server":
        asyncio.run(run_server())
        return
    if options.role == "proxy":
        run_proxy(options.url)
        return
    server, direct = started("server")
    proxy, proxied = started("proxy", "--url", f"http://{HOST}:{direct}")
    try:
        straight, through = asyncio.run(measure(options, direct, proxied, proxy))
        used = asked(proxy)
    finally:
        proxy.terminate()
        server.terminate()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; {options}")
    print(f"{'ms':<34}{'mean':>9}{'p50':>9}{'p95':>9}{'p99':>9}{'n':>10}")
    print(row("piece, straight", straight.pieces_ms))
    print(row("piece, through the proxy", through.pieces_ms))
    print(row("request to first piece, straight", straight.whole_ms))
    print(row("request to first piece, proxy", through.whole_ms))
    print(
        f"through the proxy: {through.streams:,} streams, {through.bytes:,} bytes,"
        f" {through.differing} of them differ; {used['finished']:,.0f} reported"
    )
    print(f"the proxy used {used['cpu_s']:.1f} s of CPU, {used['peak_kib'] / 1024:.0f} MiB at most")


if __name__ == "__main__":
    main()
