"""Engines of others as they really ran: each figure is what its origin says, computed anew from the
recorded text by prometheus-client, and what the client measured at the same time."""

import pytest
from frame_figures import figures
from prodtop.engine.protocol import EngineKind, Figure, Latency, Window
from recorded_engines import RECORDED, WARM_UP_TOKENS, RecordedEngine

ENGINES = {
    "vllm_0.32.0": (EngineKind.VLLM, "0.32.0"),
    "llama_cpp_2026.10.11549": (EngineKind.LLAMA_CPP, "b0-unknown"),
    "dynamo_frontend_1.6.1": (EngineKind.DYNAMO, None),
    "dynamo_worker_1.6.1": (EngineKind.DYNAMO, None),
    "dynamo_mocker_sglang_1.6.1": (EngineKind.DYNAMO, None),
    "dynamo_mocker_trtllm_1.6.1": (EngineKind.DYNAMO, None),
    "ray_serve_2.60.0": (EngineKind.RAY_SERVE, "2.60.0"),
    "transformers_5.24.0": (EngineKind.TRANSFORMERS, None),
}
"""The version is what the server tells."""
SECONDS = frozenset({Figure.TTFT, Figure.ITL, Figure.TPOT, Figure.E2E, Figure.QUEUE_TIME})
"""Those whose metrics are in seconds, and which are shown in milliseconds."""
UNEVALUATED = {Figure.ARRIVALS_PER_S, Figure.KV_SIZE, Figure.MODEL, Figure.MAX_SEQS}
"""Sums of several things, texts and labels; `KV_USAGE` of llama.cpp is a JSON answer's."""
MOST_BYTES = 60_000
NEAR = 0.03


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> RecordedEngine:
    return RecordedEngine(request.param)


def test_every_recorded_text_is_of_a_known_engine_and_small() -> None:
    texts = {each for each in RECORDED.iterdir() if not each.name.startswith("prodtop_serve")}
    of_engines = {
        each for each in texts for name in ENGINES if each.name.startswith((f"{name}_", f"{name}."))
    }
    assert texts == of_engines
    assert all(each.stat().st_size < MOST_BYTES for each in texts)


def test_it_is_recognised(engine: RecordedEngine) -> None:
    attached = engine.frame.attached
    assert attached is not None
    assert (attached.kind, attached.version) == ENGINES[engine.name]


def test_each_figure_is_what_its_origin_comes_to(engine: RecordedEngine) -> None:
    attached, shown = engine.frame.attached, figures(engine.frame)
    assert attached is not None
    evaluated = 0
    for figure, origin in attached.origins.items():
        if origin.missing is not None:
            assert shown[figure] is None, figure
            continue
        assert origin.expression
        value = engine.evaluated(origin.expression)
        if value is None:
            assert figure in UNEVALUATED or origin.expression.startswith("/"), figure
            continue
        if attached.kind is EngineKind.RAY_SERVE and figure is Figure.E2E:
            continue  # Its median: the mean is not in the text.
        scale = 1e3 if figure in SECONDS else 1.0
        assert shown[figure] == pytest.approx(value * scale), (figure, origin.expression)
        evaluated += 1
    assert evaluated >= (0 if attached.kind is EngineKind.TRANSFORMERS else 5)


def test_each_origin_names_metrics_that_the_server_has(engine: RecordedEngine) -> None:
    """But for a counter that comes up with the first failure."""
    attached = engine.frame.attached
    assert attached is not None
    for figure, origin in attached.origins.items():
        if origin.expression and engine.is_of_metrics(origin.expression):
            assert engine.named(origin.expression), origin.expression
            unknown = engine.named(origin.expression) - engine.names
            assert not unknown or figure is Figure.FAILED, figure


def latency(engine: RecordedEngine) -> Latency:
    return engine.frame.latency[Window.SESSION]


@pytest.mark.parametrize(
    "name", ["vllm_0.32.0", "dynamo_frontend_1.6.1", "llama_cpp_2026.10.11549"]
)
def test_it_counts_what_its_client_did(name: str) -> None:
    engine = RecordedEngine(name)
    client = engine.facts["client"]
    assert engine.frame.generated_tokens_total == client["output_tokens"] + WARM_UP_TOKENS
    if engine.frame.accounting is not None:
        assert engine.frame.accounting.finished == client["requests"] + 1


@pytest.mark.parametrize(
    "name",
    [
        "vllm_0.32.0",
        "dynamo_frontend_1.6.1",
        "dynamo_worker_1.6.1",
        "dynamo_mocker_sglang_1.6.1",
        "dynamo_mocker_trtllm_1.6.1",
        "llama_cpp_2026.10.11549",
    ],
)
def test_a_token_takes_as_long_as_the_client_measured(name: str) -> None:
    """A mean of tokens: those of the request before the load are four of 1,600."""
    engine = RecordedEngine(name)
    itl = latency(engine).itl
    assert itl is not None
    assert itl.mean_ms == pytest.approx(engine.facts["client"]["tpot_ms"]["mean"], rel=NEAR)


def test_ray_serves_sums_are_of_the_middles_of_its_buckets() -> None:
    """Twelve answers of 1.08 s each stand in the text with 1.5 s: there is no mean."""
    engine, base = RecordedEngine("ray_serve_2.60.0"), "ray_serve_http_request_latency_ms"
    load = {"route": "/v1/completions"}

    def grown(name: str, **labels: str) -> float:
        where = {**load, **labels}
        return engine.total(name, where, "after") - engine.total(name, where, "before")

    assert grown(f"{base}_bucket", le="2000.0") - grown(f"{base}_bucket", le="1000.0") == 12
    # Two short ones before it: the middles of the buckets that they are in.
    assert grown(f"{base}_sum") - 12 * 1500.0 < 100.0
    e2e = latency(engine).e2e
    assert e2e is not None
    assert e2e.mean_ms is None
    assert e2e.count == 15
    assert e2e.p50_ms is not None
    assert 1000.0 < e2e.p50_ms < 2000.0
    assert engine.frame.queue.arrival_rate_times_residence is None
