"""The proxy and the prober before our own server, beside a client and the server's own counts."""

import asyncio
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from attached_samples import attached_frame
from linked_engine import HOST, tiny_checkpoint
from prodtop.engine.attach.prober import Prober
from prodtop.engine.attach.proxy.proxy import Proxy
from prodtop.engine.protocol import FinishedRequest, FinishedSample, Window
from prodtop.engine.protocol.server_options import ServerOptions
from prodtop.engine.traces.trace_file import read_trace
from served_engine import ServedEngine, post, served_engine

REQUESTS = 12
OUTPUT_TOKENS = 40


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedEngine]:
    options = tiny_checkpoint(tmp_path_factory.mktemp("tiny"))
    with served_engine(options, ServerOptions(port=0)) as engine:
        yield engine


@dataclass
class Seen:
    """What a client measured, in ms, of one stream."""

    ttft_ms: float = 0.0
    e2e_ms: float = 0.0
    gaps_ms: list[float] = field(default_factory=list)


async def stream(port: int, number: int) -> Seen:
    """One stream as a client measures it: from sending it to each event with text."""
    body = {
        "prompt": [5 + number, *(6 + at % 80 for at in range(594))],
        "max_tokens": OUTPUT_TOKENS,
        "ignore_eos": True,
        "temperature": 0,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    reader, writer = await asyncio.open_connection(HOST, port)
    sent_s = time.monotonic()
    writer.write(post("/v1/completions", json.dumps(body).encode()))
    seen, last_s = Seen(), None
    async for line in reader:
        now_s = time.monotonic()
        if not line.startswith(b"data: {"):
            continue
        event = json.loads(line[6:])
        if not any(choice["text"] for choice in event["choices"]):
            continue
        if last_s is None:
            seen.ttft_ms = (now_s - sent_s) * 1e3
        else:
            seen.gaps_ms.append((now_s - last_s) * 1e3)
        last_s = now_s
        seen.e2e_ms = (now_s - sent_s) * 1e3
    writer.close()
    return seen


def ended(proxy: Proxy, engine: ServedEngine, number: int) -> list[FinishedRequest]:
    found: list[FinishedRequest] = []

    def collected() -> bool:
        for report in proxy.reports():
            if isinstance(report, FinishedSample):
                assert not report.left_out
                found.extend(report.requests)
        return len(found) >= number

    engine.wait(f"{number} requests", collected)
    return found


def test_counts_are_equal_and_means_are_a_clients(engine: ServedEngine, tmp_path: Path) -> None:
    before = engine.metrics()
    path = tmp_path / "trace.jsonl"
    proxy = Proxy(f"http://{HOST}:{engine.port}", 0, trace_path=path)
    proxy.start()
    try:

        async def clients() -> list[Seen]:
            # One after the other: what a client measures then hangs on nobody's turn.
            return [await stream(proxy.port, number) for number in range(REQUESTS)]

        seen = asyncio.run(clients())
        requests = ended(proxy, engine, REQUESTS)
        over = proxy.overlay(attached_frame())
    finally:
        proxy.close()
    after = engine.metrics()
    after.subtract(before)
    assert after["prodtop_requests_ended_total"] == len(requests) == REQUESTS
    assert after["vllm:generation_tokens_total"] == REQUESTS * OUTPUT_TOKENS
    assert sum(each.output_tokens or 0 for each in requests) == REQUESTS * OUTPUT_TOKENS
    assert sum(each.prompt_tokens or 0 for each in requests) == after["vllm:prompt_tokens_total"]
    assert not any(each.failed for each in requests)
    latency = over.latency[Window.SESSION]
    assert latency.ttft is not None
    assert latency.e2e is not None
    assert latency.itl is not None
    assert latency.itl.count == REQUESTS * (OUTPUT_TOKENS - 1)
    # A client's clock starts before the proxy's, and ends after it.
    for one, request in zip(seen, sorted(requests, key=lambda each: each.request_id), strict=True):
        assert request.ttft_ms is not None
        assert request.ttft_ms <= one.ttft_ms
        assert request.e2e_ms <= one.e2e_ms
    trace = read_trace(path)
    assert list(trace.prompt_tokens) == [595] * REQUESTS
    assert list(trace.output_tokens) == [OUTPUT_TOKENS] * REQUESTS


def test_the_engine_is_rid_of_a_request_whose_client_left(engine: ServedEngine) -> None:
    before = engine.metrics()
    proxy = Proxy(f"http://{HOST}:{engine.port}", 0)
    proxy.start()

    async def leave() -> None:
        reader, writer = await asyncio.open_connection(HOST, proxy.port)
        body = {"prompt": [5, 6, 7], "max_tokens": 3_000, "ignore_eos": True, "stream": True}
        writer.write(post("/v1/completions", json.dumps(body).encode()))
        await reader.readuntil(b"data: {")
        writer.close()

    try:
        asyncio.run(leave())
        engine.wait("an idle engine", engine.idle)
        (request,) = ended(proxy, engine, 1)
    finally:
        proxy.close()
    after = engine.metrics()
    after.subtract(before)
    assert after['prodtop_requests_ended_total{reason="abort"}'] == 1
    assert request.failed
    assert request.finish_reason == "client left"


def test_a_probe_is_answered(engine: ServedEngine) -> None:
    prober = Prober(f"http://{HOST}:{engine.port}", 1.0)
    prober.start()
    try:
        frame = attached_frame()
        engine.wait("figures", lambda: prober.overlay(frame) != frame)
        latency = prober.overlay(frame).latency[Window.SESSION]
    finally:
        prober.close()
    assert latency.ttft is not None
    assert latency.itl is not None
    assert latency.itl.count == 7 * latency.ttft.count
