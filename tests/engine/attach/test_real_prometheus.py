"""A fleet through a real Prometheus that scrapes servers: rows, one server's frames, its past."""

import asyncio
import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from faulty_server import HOST, FaultyServer, Writer, serving, whole
from prodtop.engine.attach.asking.settings import PrometheusSettings
from prodtop.engine.attach.prometheus.answers import QueryError
from prodtop.engine.attach.prometheus.client import PrometheusClient
from prodtop.engine.attach.prometheus.fleet_source import PrometheusFleet
from prodtop.engine.protocol import EngineKind, FleetSample, Frame, Message, PastFrames, ServerDown

PROGRAM = shutil.which("prometheus")
TOK_S = {"fast": 1000.0, "slow": 200.0}
DEADLINE_S = 40.0
CONFIG = """
global: {scrape_interval: 1s, scrape_timeout: 1s}
scrape_configs:
- job_name: vllm
  static_configs: [{targets: [%s]}]
"""

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="there is no prometheus on this machine")


def exposition(tok_s: float, began_s: float) -> bytes:
    """What a vLLM tells that generates at an even speed, and answers in 30 to 40 ms."""
    labels = 'model_name="tiny",engine="0"'
    seconds = time.monotonic() - began_s
    requests = int(10 * seconds)
    bucket = "vllm:time_to_first_token_seconds_bucket"
    lines = [
        f"vllm:num_requests_running{{{labels}}} 7",
        f"vllm:num_requests_waiting{{{labels}}} 2",
        f"vllm:kv_cache_usage_perc{{{labels}}} 0.5",
        f"vllm:generation_tokens_total{{{labels}}} {tok_s * seconds}",
        f'vllm:request_success_total{{{labels},finished_reason="stop"}} {requests}',
        f"vllm:prefix_cache_queries_total{{{labels}}} {100 * seconds}",
        f"vllm:prefix_cache_hits_total{{{labels}}} {25 * seconds}",
        *(
            f'{bucket}{{{labels},le="{edge}"}} {count}'
            for edge, count in (("0.02", 0), ("0.04", requests), ("+Inf", requests))
        ),
        f"vllm:time_to_first_token_seconds_sum{{{labels}}} {0.035 * requests}",
        f"vllm:time_to_first_token_seconds_count{{{labels}}} {requests}",
        "",
    ]
    return "\n".join(lines).encode()


def engine(tok_s: float, began_s: float) -> FaultyServer:
    """How such a server answers."""

    async def answer(writer: Writer) -> None:
        head = "content-type: text/plain; version=0.0.4; charset=utf-8\r\n"
        await whole(exposition(tok_s, began_s), headers=head)(writer)

    return FaultyServer(answer)


def free_port() -> int:
    with socket.socket() as each:
        each.bind((HOST, 0))
        port: int = each.getsockname()[1]
        return port


@asynccontextmanager
async def collected(folder: Path) -> AsyncIterator[tuple[PrometheusSettings, dict[str, str]]]:
    """Two engines and a port where nobody listens, scraped by a Prometheus on loopback."""
    assert PROGRAM is not None
    async with AsyncExitStack() as stack:
        began_s = time.monotonic()
        ports = {}
        for name, tok_s in TOK_S.items():
            server = await stack.enter_async_context(serving(engine(tok_s, began_s).behaviour))
            ports[name] = f"{HOST}:{server.port}"
        ports["gone"] = f"{HOST}:{free_port()}"
        (folder / "prometheus.yml").write_text(CONFIG % ", ".join(f'"{p}"' for p in ports.values()))
        port = free_port()
        process = await asyncio.create_subprocess_exec(
            PROGRAM,
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address={HOST}:{port}",
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            yield (
                PrometheusSettings(
                    url=f"http://{HOST}:{port}",
                    selector='job="vllm"',
                    scrape_interval_s=1.0,
                    interval_s=0.5,
                ),
                ports,
            )
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            await process.wait()


async def until(told: list[Message], done: object) -> None:
    """Wait until `done` of what was told holds."""
    assert callable(done)
    async with asyncio.timeout(DEADLINE_S):
        while not done(told):
            await asyncio.sleep(0.1)


def settled(told: list[Message], ports: dict[str, str]) -> FleetSample | None:
    """The newest sample whose rates stand on a whole window of scrapes."""
    for each in reversed(told):
        if isinstance(each, FleetSample):
            speeds = {row.name: row.decode_tok_s or 0.0 for row in each.replicas}
            near = (
                abs(speeds.get(ports[name], 0.0) / tok_s - 1) < 0.1 for name, tok_s in TOK_S.items()
            )
            return each if len(speeds) == 3 and all(near) else None
    return None


async def test_rows_frames_and_the_past_come_of_what_it_collects(tmp_path: Path) -> None:
    told: list[Message] = []
    async with collected(tmp_path) as (settings, ports):
        fleet = PrometheusFleet(settings, told.append)
        running = asyncio.create_task(fleet.run())
        try:
            await until(told, lambda each: settled(each, ports))
            sample = settled(told, ports)
            assert sample is not None
            rows = {row.name: row for row in sample.replicas}
            for name, tok_s in TOK_S.items():
                row = rows[ports[name]]
                assert row.decode_tok_s == pytest.approx(tok_s, rel=0.1)
                assert (row.kind, row.model) == (EngineKind.VLLM, "tiny")
                assert (row.running, row.waiting, row.kv_used) == (7, 2, 0.5)
                assert row.prefix_hits == pytest.approx(0.25)
                assert row.ttft_p95_ms == pytest.approx(39, abs=1.5)
            assert rows[ports["gone"]].down is not None
            told.clear()
            other = next(name for name in TOK_S if ports[name] != fleet.chosen)
            fleet.choose(ports[other])
            await until(told, lambda each: sum(isinstance(m, Frame) for m in each) >= 3)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
    past = next(each for each in told if isinstance(each, PastFrames))
    times = [frame.wall_s for frame in past.frames]
    assert times == sorted(times)
    assert times
    frame = next(each for each in reversed(told) if isinstance(each, Frame))
    assert frame.attached is not None
    assert frame.attached.name == ports[other]
    assert frame.throughput.decode_tok_s == pytest.approx(TOK_S[other], rel=0.2)


async def test_a_query_that_is_none_is_told_in_its_words(tmp_path: Path) -> None:
    async with collected(tmp_path) as (settings, _):
        client = PrometheusClient(settings)
        async with asyncio.timeout(DEADLINE_S):
            while True:
                with contextlib.suppress(Exception):
                    await client.query("up")
                    break
                await asyncio.sleep(0.1)
        with pytest.raises(QueryError, match="400"):
            await client.query("sum by (")
        await client.close()


async def test_without_a_prometheus_that_is_said_and_asked_again() -> None:
    told: list[Message] = []
    settings = PrometheusSettings(url=f"http://{HOST}:{free_port()}", selector="")
    running = asyncio.create_task(PrometheusFleet(settings, told.append).run())
    await until(told, lambda each: len(each) >= 2)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert isinstance(told[0], FleetSample)
    assert told[0].note is not None
    assert isinstance(told[1], ServerDown)
