"""What our own server exports, recorded by running it: prometheus-client says what is in it."""

import time
from collections import defaultdict
from pathlib import Path

import pytest
from prodtop.engine.attach.reading.exposition import Exposition
from prodtop.engine.attach.reading.server_reading import ServerReading
from prodtop.engine.protocol import EngineKind, Figure, Frame, Window
from prometheus_client.parser import text_string_to_metric_families

RECORDED = Path(__file__).parent / "recorded"
BODIES = [(RECORDED / f"prodtop_serve_{seconds}s.txt").read_bytes() for seconds in (6, 12)]
"""Of `prodtop serve --rate 3`, six seconds apart."""


def without_own_names(body: bytes) -> bytes:
    """As a vLLM would export it."""
    return b"\n".join(line for line in body.split(b"\n") if b"prodtop_" not in line)


def read(bodies: list[bytes]) -> Frame:
    reading = ServerReading("http://127.0.0.1:8000", "ours")
    for place, body in enumerate(bodies):
        reading.take(body, "text/plain; version=0.0.4", 6.0 * place, 1.79e9 + 6 * place, 0.01)
    frame = reading.frame(6.0, 1.79e9)
    assert frame is not None
    return frame


def totals(body: bytes) -> dict[str, float]:
    """Sums over labels by the names of samples, those of buckets by their bound."""
    found: defaultdict[str, float] = defaultdict(float)
    for family in text_string_to_metric_families(body.decode()):
        for sample in family.samples:
            found[sample.name + sample.labels.get("le", "")] += sample.value
    return found


_BEFORE = totals(BODIES[0])
GREW = {name: value - _BEFORE[name] for name, value in totals(BODIES[1]).items()}

LATENCIES = {
    "ttft": ("prodtop_time_to_first_token_seconds", "vllm:time_to_first_token_seconds"),
    "tpot": (
        "prodtop_time_per_output_token_seconds",
        "vllm:request_time_per_output_token_seconds",
    ),
    "itl": ("prodtop_inter_token_latency_seconds", "vllm:inter_token_latency_seconds"),
    "e2e": ("prodtop_request_duration_seconds", "vllm:e2e_request_latency_seconds"),
    "queue": ("prodtop_queue_time_seconds", "vllm:request_queue_time_seconds"),
}


@pytest.mark.parametrize(
    ("kind", "bodies", "place"),
    [
        (EngineKind.PRODTOP, BODIES, 0),
        (EngineKind.VLLM, [without_own_names(body) for body in BODIES], 1),
    ],
)
def test_counts_and_means_are_those_of_the_exposition(
    kind: EngineKind, bodies: list[bytes], place: int
) -> None:
    frame = read(bodies)
    assert frame.attached is not None
    assert frame.attached.kind is kind
    for name, metrics in LATENCIES.items():
        held = getattr(frame.latency[Window.S10], name)
        count, total = GREW[f"{metrics[place]}_count"], GREW[f"{metrics[place]}_sum"]
        assert (held.count, held.mean_ms) == (count, pytest.approx(1e3 * total / count))
    assert frame.accounting is not None
    assert frame.accounting.finished == GREW["prodtop_requests_ended_total"]
    assert frame.generated_tokens_total == GREW["prodtop_generation_tokens_total"]
    assert frame.throughput.steps_per_s == pytest.approx(GREW["prodtop_steps_total"] / 6)
    hits = frame.cache.rates[Window.S10].prefix
    looked_up = GREW["prodtop_prefix_cache_queried_tokens_total"]
    found = GREW["prodtop_prefix_cache_hit_tokens_total"]
    assert hits == pytest.approx(found / looked_up)


def test_our_own_names_tell_what_vllm_s_do_not() -> None:
    frame = read(BODIES)
    ours, others = frame.throughput, read([without_own_names(b) for b in BODIES]).throughput
    assert ours.mean_batch_rows is not None
    assert others.mean_batch_rows is None
    assert ours.decode_tok_s == others.decode_tok_s
    assert frame.memory is not None
    assert frame.cache.response_entries
    assert frame.cache.rates[Window.S10].response is not None
    assert frame.roofline.busy is not None


def process_time_s(repeats: int, work: object) -> float:
    assert callable(work)
    times = []
    for _ in range(repeats):
        began_s = time.process_time()
        work()
        times.append(time.process_time() - began_s)
    return min(times)


def test_only_what_is_asked_for_is_decoded() -> None:
    """An order of magnitude before prometheus-client, which decodes every line."""
    body = BODIES[1]
    wanted = [
        name
        for name in Exposition(without_own_names(body)).names
        if name.startswith(("vllm_time_to_first", "vllm_e2e", "vllm_num", "vllm_inter"))
    ]
    assert len(wanted) > 10

    def ours() -> None:
        scrape = Exposition(body)
        for name in wanted:
            scrape.samples(name)

    def theirs() -> None:
        list(text_string_to_metric_families(body.decode()))

    assert process_time_s(15, ours) * 4 < process_time_s(3, theirs)


def test_ray_serve_is_known_by_what_a_real_one_exports() -> None:
    """Ray Serve 2.60 with one deployment, which is no LLM engine, after one request."""
    body = (RECORDED / "ray_serve_2.60.txt").read_bytes()
    frame = read([body, body])
    assert frame.attached is not None
    assert (frame.attached.kind, frame.attached.version) == (EngineKind.RAY_SERVE, "2.60.0")
    assert (frame.queue.running, frame.queue.waiting) == (0, 0)
    assert frame.accounting is not None
    assert (frame.accounting.finished, frame.accounting.failed) == (0, 0)
    origins = frame.attached.origins
    assert origins[Figure.E2E].missing
    assert "vLLM" in (origins[Figure.TTFT].missing or "")
