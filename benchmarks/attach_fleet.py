"""What watching a fleet costs: CPU per refresh and memory of the reader, and of the tab's rows.

    python benchmarks/attach_fleet.py [--replicas 500] [--rounds 20]

A process of its own answers as a Prometheus that collects so many vLLM servers does; the reader's
own code asks it over HTTP, and the screen's code judges and sorts the rows. Prints one line.
"""

import argparse
import asyncio
import multiprocessing
import random
import resource
import socket
import time
from urllib.parse import parse_qs

import msgspec
from prodtop.engine.attach.asking.settings import PrometheusSettings
from prodtop.engine.attach.prometheus.client import PrometheusClient
from prodtop.engine.attach.prometheus.fleet_source import PrometheusFleet
from prodtop.engine.protocol import FleetSample, Message
from prodtop.tui.state.fleet import FleetBook, FleetOrder, shown_rows

HOST = "127.0.0.1"


def answer(expression: str, replicas: int) -> bytes:
    """What a Prometheus gives for an expression: a value for each server."""
    dice = random.Random(expression)
    name = "vllm:num_requests_running"
    one_of = '__name__=~"' not in expression or "by" in expression
    series = [
        {
            "metric": {"instance": f"10.0.{number // 256}.{number % 256}:8000", "model_name": "m"}
            | ({"__name__": name} if "__name__)" in expression or not one_of else {}),
            "value": [time.time(), "1" if expression.startswith("up") else str(dice.random())],
        }
        for number in range(replicas)
    ]
    return msgspec.json.encode({"status": "success", "data": {"result": series}})


def serve(port: int, replicas: int) -> None:
    """Answer queries until the process is ended; each answer is made once."""
    known: dict[str, bytes] = {}

    async def on_client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError:
                return
            target = head.split(b" ")[1].decode().partition("?")[2]
            expression = parse_qs(target)["query"][0]
            if expression not in known:
                known[expression] = answer(expression, replicas)
            body = known[expression]
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
            await writer.drain()

    async def run() -> None:
        server = await asyncio.start_server(on_client, HOST, port)
        await server.serve_forever()

    asyncio.run(run())


async def measure(url: str, rounds: int) -> tuple[float, float]:
    """CPU seconds of a refresh: of the reader, and of the screen's rows."""
    told: list[Message] = []
    settings = PrometheusSettings(url=url, selector="")
    fleet, book = PrometheusFleet(settings, told.append), FleetBook()
    fleet.choose("nobody")
    client = PrometheusClient(settings)
    reading_s = drawing_s = 0.0
    for number in range(rounds + 2):
        began_s = time.process_time()
        await fleet.round(client)
        between_s = time.process_time()
        sample = next(each for each in reversed(told) if isinstance(each, FleetSample))
        told.clear()
        book.take(sample, 4.0)
        assert book.now is not None
        shown_rows(book.now, FleetOrder())
        if number >= 2:
            reading_s += between_s - began_s
            drawing_s += time.process_time() - between_s
    await client.close()
    return reading_s / rounds, drawing_s / rounds


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--replicas", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=20)
    arguments = parser.parse_args()
    with socket.socket() as free:
        free.bind((HOST, 0))
        port = free.getsockname()[1]
    server = multiprocessing.get_context("spawn").Process(
        target=serve, args=(port, arguments.replicas), daemon=True
    )
    server.start()
    for _ in range(100):
        with socket.socket() as probe:
            if probe.connect_ex((HOST, port)) == 0:
                break
        time.sleep(0.1)
    reading_s, drawing_s = asyncio.run(measure(f"http://{HOST}:{port}", arguments.rounds))
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    server.terminate()
    every_s = PrometheusSettings(url="").interval_s
    print(
        f"{arguments.replicas} replicas: reading {reading_s * 1e3:.1f} ms of CPU a refresh"
        f" ({reading_s / every_s:.2%} of a core at one each {every_s:g} s),"
        f" rows {drawing_s * 1e3:.1f} ms, peak memory {peak_mib:.0f} MiB"
    )


if __name__ == "__main__":
    main()
