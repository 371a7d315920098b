"""A fleet as its samples tell of it: two models on three nodes, one of each kind of trouble."""

from prodtop.engine.protocol import EngineKind, FleetSample, Replica

LLAMA, QWEN = "meta-llama/Llama-3.1-8B-Instruct", "Qwen/Qwen3-4B"


def replica(number: int, **changes: object) -> Replica:
    """One of eight replicas of a model, all of them well."""
    fields: dict[str, object] = {
        "name": f"gpu-{number:02d}:8000",
        "url": f"http://gpu-{number:02d}:8000",
        "kind": EngineKind.VLLM,
        "version": "0.26.0",
        "model": LLAMA,
        "node": f"gpu-{number:02d}",
        "running": 40 + number,
        "waiting": 0,
        "kv_used": 0.4 + 0.01 * number,
        "ttft_p95_ms": 120.0 + number,
        "decode_tok_s": 2_400.0 + 10 * number,
        "requests_per_s": 12.0,
        "prefix_hits": 0.61,
        "age_s": 0.4,
    }
    return Replica(**{**fields, **changes})  # type: ignore[arg-type]  # by name


def sample(second: float = 0.0) -> FleetSample:
    """Twelve servers at a moment."""
    well = [
        replica(number, decode_tok_s=2_400.0 + 10 * number + 40 * (second % 7))
        for number in range(5)
    ]
    return FleetSample(
        at_s=500.0 + second,
        wall_s=1_790_000_000.0 + second,
        chosen="gpu-00:8000",
        replicas=[
            *well,
            replica(5, running=64, waiting=210),
            replica(6, kv_used=0.995, waiting=12),
            replica(7, ttft_p95_ms=1_900.0),
            replica(8, decode_tok_s=900.0),
            Replica(name="gpu-09:8000", node="gpu-09", model=LLAMA, down="refuses connections"),
            replica(
                10,
                name="small-a",
                model=QWEN,
                kind=EngineKind.SGLANG,
                version="0.5.23",
                kv_used=None,
                ttft_p95_ms=10.0,
                ttft_below_ms=10.0,
            ),
            replica(11, name="small-b", model=QWEN, running=0, decode_tok_s=0.0),
        ],
    )
