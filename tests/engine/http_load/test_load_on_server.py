"""A load on our own server: what the generator counts is what the server does, to the token."""

import asyncio
import socket
import time
from collections import Counter
from collections.abc import Iterator

import msgspec
import pytest
from linked_engine import HOST, tiny_checkpoint
from prodtop.engine.attach.asking.settings import ServerSettings
from prodtop.engine.http_load.connections import Connections
from prodtop.engine.http_load.main import load_of, measure
from prodtop.engine.http_load.messages import HttpLoadOptions, ServerResult, Word
from prodtop.engine.http_load.result import result_of
from prodtop.engine.http_load.run import run_load
from prodtop.engine.http_load.target import Target
from prodtop.engine.http_load.texts import TextMaker
from prodtop.engine.protocol import Distribution, LoadSpec
from prodtop.engine.protocol.errors import ProdtopError
from prodtop.engine.protocol.server_operations import Operations, ServerLimits
from prodtop.engine.protocol.server_options import ServerOptions
from served_engine import ServedEngine, served_engine

PLACES = 12
REQUESTS = 24
NEAR, ATTEMPTS = 0.03, 3
"""A generator that is wrong is wrong each time; one that lost the processor is not."""
LONG_REQUESTS = 12
SHORT = LoadSpec(
    users=4,
    output_tokens_min=4,
    output_tokens_max=9,
    # Each answer is another, so that none comes from the response cache.
    temperature=1.0,
    fixed_seed_share=0.0,
    ignore_eos=True,
)

LONG = msgspec.structs.replace(SHORT, output_tokens_min=150, output_tokens_max=150)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedEngine]:
    options = tiny_checkpoint(tmp_path_factory.mktemp("tiny"))
    limits = ServerLimits(max_requests=PLACES)
    server = ServerOptions(port=0, operations=Operations(limits=limits))
    with served_engine(options, server) as running:
        yield running


def url_of(engine: ServedEngine) -> str:
    return f"http://{HOST}:{engine.port}"


def model_of(engine: ServedEngine) -> str:
    models = msgspec.json.decode(engine.get("/v1/models")[1])
    name: str = models["data"][0]["id"]
    return name


def measured(engine: ServedEngine, spec: LoadSpec, requests: int = REQUESTS) -> ServerResult:
    """What a load comes to, without any request besides."""
    target = Target(url_of(engine), model_of(engine))

    async def run() -> ServerResult:
        connections = Connections(target, timeout_s=60)
        texts = TextMaker(salt=f"{time.monotonic_ns()}")
        served = await run_load(load_of(spec, texts, requests, 256), connections, texts)
        await connections.close()
        return result_of(served, model=target.model, url=target.url, api="completions", versions={})

    return asyncio.run(run())


def test_every_token_is_counted_and_latencies_are_those_of_the_server(engine: ServedEngine) -> None:
    engine.wait("an idle engine", engine.idle)
    before = engine.metrics()
    result = measured(engine, SHORT)
    engine.wait("an idle engine", engine.idle)
    after = engine.metrics()
    after.subtract(before)
    assert (result.requests, result.failed, result.rejected) == (REQUESTS, 0, 0)
    assert result.output_tokens == after["vllm:generation_tokens_total"]
    assert result.prompt_tokens == after["vllm:prompt_tokens_total"]
    assert after["vllm:request_success_total"] == REQUESTS
    assert result.peak_running == SHORT.users
    assert result.e2e_ms is not None
    assert result.ttft_ms is not None
    served_ms = 1e3 * after["vllm:e2e_request_latency_seconds_sum"] / REQUESTS
    # It sees what the server does and the way there; a slow machine is no wrong figure.
    assert result.e2e_ms.mean >= 0.9 * served_ms
    assert result.ttft_ms.mean <= result.e2e_ms.mean


def test_means_are_those_of_the_server(engine: ServedEngine) -> None:
    """As guidellm's and aiperf's are: tests/engine/server/test_client_agreement.py."""
    differences = []
    for _ in range(ATTEMPTS):
        engine.wait("an idle engine", engine.idle)
        before = engine.metrics()
        result = measured(engine, LONG, LONG_REQUESTS)
        engine.wait("an idle engine", engine.idle)
        after = engine.metrics()
        after.subtract(before)
        differences.append(
            (
                difference(result.tpot_ms, after, "vllm:request_time_per_output_token_seconds"),
                difference(result.e2e_ms, after, "vllm:e2e_request_latency_seconds"),
            )
        )
        if max(map(abs, differences[-1])) < NEAR:
            return
    pytest.fail(f"{differences}")


def difference(found: Distribution | None, counted: Counter[str], family: str) -> float:
    """Of a mean: ours above the server's, as a part of it."""
    assert found is not None
    assert counted[f"{family}_count"] == LONG_REQUESTS
    return found.mean / (1e3 * counted[f"{family}_sum"] / LONG_REQUESTS) - 1


def test_what_the_server_has_no_place_for_is_rejected_and_no_failure(engine: ServedEngine) -> None:
    crowd = msgspec.structs.replace(SHORT, users=3 * PLACES, output_tokens_max=60)
    result = measured(engine, crowd, 5 * PLACES)
    assert result.failed == 0
    assert result.requests == 5 * PLACES
    whole = result.requests - result.rejected
    assert whole >= PLACES
    assert result.output_tokens >= 4 * whole


def test_an_open_loop_keeps_its_arrivals(engine: ServedEngine) -> None:
    spec = msgspec.structs.replace(SHORT, rate_per_s=60.0)
    result = measured(engine, spec)
    assert result.failed == 0
    # 24 arrivals at 60 a second take 0.4 s in the mean: never so little as if they came at once.
    assert result.duration_s > 0.15
    assert result.dispatch_ms is not None


def test_a_command_measures_after_it_has_learnt_of_the_server(engine: ServedEngine) -> None:
    told: list[Word] = []
    options = HttpLoadOptions(
        server=ServerSettings(url=url_of(engine)), loads=[SHORT], requests=8, warmup=2
    )
    asyncio.run(measure(options, told.append))
    (result,) = (each for each in told if isinstance(each, ServerResult))
    assert result.model == model_of(engine)
    assert (result.requests, result.failed) == (8, 0)
    fields = msgspec.json.decode(msgspec.json.encode(result))
    # The very fields of our own bench: what only an engine knows of itself is null.
    assert fields["strategy"] is None
    assert fields["memory"] is None


def test_without_a_server_that_is_said() -> None:
    with socket.socket() as free:
        free.bind((HOST, 0))
        url = f"http://{HOST}:{free.getsockname()[1]}"
    options = HttpLoadOptions(server=ServerSettings(url=url), loads=[SHORT], requests=2)
    with pytest.raises(ProdtopError, match="refuses connections"):
        asyncio.run(measure(options, lambda _: None))
