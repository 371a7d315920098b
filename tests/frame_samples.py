"""A complete frame, for tests that need one and care about few of its fields."""

import msgspec
from prodtop.engine.protocol import (
    Accounting,
    Blocks,
    Cache,
    Frame,
    HitRates,
    Latency,
    LoadSpec,
    Memory,
    ModelInfo,
    Percentiles,
    PrecisionName,
    PrecisionStatus,
    Queue,
    Roofline,
    StrategyName,
    Throughput,
    Window,
)

_FRAME = Frame(
    sequence=0,
    at_s=10.0,
    wall_s=1_700_000_000.0,
    uptime_s=5.0,
    model=ModelInfo(name="tiny", parameters=1000, layers=2, context_tokens=128, vocabulary=256),
    device="cpu",
    device_name="a processor",
    strategy=StrategyName.HYBRID,
    precision=PrecisionName.FP32,
    precisions=[
        PrecisionStatus(name=PrecisionName.FP32),
        PrecisionStatus(name=PrecisionName.BF16),
        PrecisionStatus(name=PrecisionName.FP8, reason="needs compute capability 8.9"),
    ],
    load=LoadSpec(),
    throughput=Throughput(
        prefill_tok_s=10.0,
        decode_tok_s=123.4,
        cached_tok_s=0.0,
        requests_per_s=2.0,
        arrivals_per_s=2.0,
        steps_per_s=40.0,
    ),
    latency={
        Window.M1: Latency(
            ttft=Percentiles(count=7, mean_ms=12.0, p50_ms=11.0, p95_ms=20.0, p99_ms=21.0)
        )
    },
    cache=Cache(
        blocks=Blocks(total=10, running=4, evictable=1, free=5, block_tokens=16),
        rates={Window.M1: HitRates(prefix=0.5)},
    ),
    queue=Queue(running=2, waiting=1),
    accounting=Accounting(submitted=3, in_system=3),
    memory=Memory(
        used_bytes=100, weights_bytes=40, kv_bytes=30, workspace_bytes=20, other_bytes=10
    ),
    roofline=Roofline(),
    max_seqs=8,
)


def frame(**changes: object) -> Frame:
    """A frame with these fields changed."""
    return msgspec.structs.replace(_FRAME, **changes)
