"""What servers say as JSON: versions, models, slots, loads; and what is left of hostile answers."""

import json

import msgspec
import pytest
from engine_samples import SAMPLES
from frame_figures import figures
from hypothesis import given
from hypothesis import strategies as st
from prodtop.engine.attach.json_answers import MOST_JSON_BYTES, read_answer
from prodtop.engine.attach.server_reading import ServerReading
from prodtop.engine.protocol import EngineKind, Figure, Frame
from prodtop.engine.protocol.errors import UnreadableAnswerError

WALL_S = 1_790_000_000.0
ENDPOINTS = (
    *("/version", "/v1/models", "/props", "/slots", "/v1/loads", "/server_info", "/info"),
    *("/api/version", "/api/ps", "/metrics", "/v2", "/openapi.json"),
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=8,
)


def framed(reading: ServerReading) -> Frame:
    frame = reading.frame(1.0, WALL_S)
    assert frame is not None
    return frame


def test_ollama_tells_its_loaded_models_and_why_it_tells_no_more() -> None:
    reading = ServerReading("http://a", "a")
    assert "/api/version" in {each.path for each in reading.wanted()}
    reading.absent("/metrics", 404)
    reading.take_json("/api/version", b'{"version": "0.12"}', 0.0)
    assert reading.kind is EngineKind.OLLAMA
    reading.take_json(
        "/api/ps",
        b'{"models": [{"name": "qwen3:8b", "size_vram": 6000, "context_length": 4096},'
        b' {"name": "gemma3", "size_vram": 4000, "context_length": 4096}]}',
        0.0,
    )
    frame = framed(reading)
    assert frame.attached is not None
    assert (frame.attached.version, frame.model.name) == ("0.12", "gemma3 and 1 more")
    assert frame.model.context_tokens == 4096
    told = {figure for figure, value in figures(frame).items() if value is not None}
    assert told == {Figure.MODEL}
    assert "--proxy" in (frame.attached.origins[Figure.TTFT].missing or "")


def test_transformers_serve_is_known_by_its_paths() -> None:
    reading = ServerReading("http://a", "a")
    paths = {path: {"get": 0} for path in ("/v1/models", "/load_model", "/reset", "/health")}
    reading.take_json("/openapi.json", json.dumps({"paths": paths}).encode(), 0.0)
    assert reading.kind is EngineKind.TRANSFORMERS


def test_tensorrt_llm_is_asked_elsewhere_once_it_tells_statistics() -> None:
    reading = ServerReading("http://a", "a")
    statistics = [
        {
            "numActiveRequests": 3,
            "numQueuedRequests": 1,
            "maxNumActiveRequests": 64,
            "kvCacheStats": {"maxNumBlocks": 100, "usedNumBlocks": 25, "tokensPerBlock": 32},
        }
    ]
    body = json.dumps(statistics).encode()
    reading.take(body, "application/json", 0.0, WALL_S, 0.01)
    assert reading.kind is EngineKind.TENSORRT_LLM
    assert reading.metrics_path == "/prometheus/metrics"
    reading.absent("/prometheus/metrics", 404)
    assert reading.metrics_path == "/metrics"
    reading.absent("/metrics", 404)
    assert reading.metrics_path == "/metrics"
    reading.take(body, "application/json", 1.0, WALL_S, 0.01)
    frame = framed(reading)
    assert (frame.queue.running, frame.queue.waiting, frame.max_seqs) == (3, 1, 64)
    assert frame.cache.blocks is not None
    assert (frame.cache.blocks.total, frame.cache.blocks.running) == (100, 25)


def test_sglang_without_metrics_tells_its_loads() -> None:
    reading = ServerReading("http://a", "a")
    load = {
        "dp_rank": 0,
        "num_running_reqs": 3,
        "num_waiting_reqs": 2,
        "token_usage": 0.5,
        "max_total_num_tokens": 1000,
        "gen_throughput": 400.0,
        "max_running_requests": 32,
        "memory": {"weight_gb": 2.0, "kv_cache_gb": 1.0, "graph_gb": 0.5},
    }
    other = {**load, "dp_rank": 1, "token_usage": 0.1}
    reading.take_json("/v1/models", b'{"data": [{"id": "m", "owned_by": "sglang"}]}', 0.0)
    reading.take_json("/v1/loads", json.dumps({"loads": [load, other]}).encode(), 0.0)
    assert reading.kind is EngineKind.SGLANG
    frame = framed(reading)
    assert (frame.queue.running, frame.queue.waiting, frame.max_seqs) == (6, 4, 64)
    assert frame.throughput.decode_tok_s == pytest.approx(800.0)
    assert frame.cache.blocks is not None
    assert (frame.cache.blocks.total, frame.cache.blocks.running) == (2000, 600)
    assert frame.memory is not None
    assert frame.memory.used_bytes == 7 * 2**30


def test_a_vllm_that_forbids_its_metrics_says_so() -> None:
    reading = ServerReading("http://a", "a")
    reading.absent("/metrics", 401)
    answer = b'{"data": [{"id": "m", "owned_by": "vllm", "max_model_len": 8192}]}'
    reading.take_json("/v1/models", answer, 0.0)
    frame = framed(reading)
    assert reading.kind is EngineKind.VLLM
    assert frame.model.context_tokens == 8192
    assert frame.attached is not None
    assert frame.attached.origins[Figure.RUNNING].missing == "its metrics need a token"


def test_prompts_of_users_are_not_kept() -> None:
    reading = ServerReading("http://a", "a")
    for endpoint, body in SAMPLES["llama.cpp"].answers.items():
        reading.take_json(endpoint, body, 0.0)
    assert b"secret" not in msgspec.json.encode(framed(reading))
    assert "secret" not in repr(vars(reading))


def test_what_a_path_no_longer_tells_is_forgotten() -> None:
    reading = ServerReading("http://a", "a")
    for endpoint, body in SAMPLES["llama.cpp"].answers.items():
        reading.take_json(endpoint, body, 0.0)
    assert framed(reading).cache.blocks is not None
    every_s = dict(reading.wanted())["/slots"]
    reading.absent("/slots", 501)
    assert framed(reading).cache.blocks is None
    assert dict(reading.wanted())["/slots"] > every_s


def test_servers_that_copy_paths_of_others_stay_what_they_are() -> None:
    reading = ServerReading("http://a", "a")
    for endpoint, body in SAMPLES["llama.cpp"].answers.items():
        reading.take_json(endpoint, body, 0.0)
    reading.take_json("/api/version", b'{"version": "0.0.0"}', 0.0)
    assert reading.kind is EngineKind.LLAMA_CPP


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"{",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'"\xff\xfe"',
        b"<html></html>",
        b" " * (MOST_JSON_BYTES + 1),
        b'{"version": 3, "data": 4, "loads": {}, "models": 1, "total_slots": "x"}',
    ],
    ids=range(9),
)
def test_answers_that_are_none_are_left(endpoint: str, body: bytes) -> None:
    assert read_answer(endpoint, body) is None


def test_paths_that_nobody_knows_are_left() -> None:
    assert read_answer("/etc/passwd", b"{}") is None


@given(st.sampled_from(ENDPOINTS), JSON)
def test_any_json_makes_a_sound_frame_or_none(endpoint: str, answer: object) -> None:
    reading = ServerReading("http://a", "a")
    body = json.dumps(answer).encode()
    reading.take_json(endpoint, body, 0.0)
    if endpoint == "/metrics":
        try:
            reading.take(body, "application/json", 0.0, WALL_S, 0.01)
        except UnreadableAnswerError:
            return
    frame = reading.frame(1.0, WALL_S)
    assert frame is None or msgspec.json.encode(frame)


@pytest.mark.parametrize("huge", [2**63, 10**400, -1, 1e308])
def test_numbers_out_of_all_bounds_are_left(huge: float) -> None:
    reading = ServerReading("http://a", "a")
    slots = [{"n_ctx": huge, "is_processing": True, "n_prompt_tokens": huge}]
    reading.take_json("/slots", json.dumps(slots).encode(), 0.0)
    models = {"data": [{"id": "m", "max_model_len": huge, "meta": {"n_params": huge}}]}
    reading.take_json("/v1/models", json.dumps(models).encode(), 0.0)
    frame = reading.frame(1.0, WALL_S)
    assert frame is None or msgspec.msgpack.encode(frame)
