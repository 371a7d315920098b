"""A cell of a bench, as a worker reports it."""

from prodtop.engine.protocol import (
    CellMemory,
    CellResult,
    Distribution,
    PrecisionName,
    StrategyName,
)

LATENCY = Distribution(mean=5.0, p50=4.0, p95=9.0, p99=9.9)

CELL = CellResult(
    model="tiny",
    device="cpu",
    strategy=StrategyName.SINGLE,
    precision=PrecisionName.FP32,
    requests=4,
    failed=0,
    rejected=0,
    duration_s=2.0,
    output_tok_s=1234.5,
    total_tok_s=2000.0,
    req_s=2.0,
    ttft_ms=LATENCY,
    ttfb_ms=LATENCY,
    tpot_ms=LATENCY,
    itl_ms=None,
    e2e_ms=LATENCY,
    queue_ms=LATENCY,
    batch_waste=None,
    response_hit_rate=0.25,
    prefix_hit_rate=None,
    draft_acceptance_rate=0.5,
    memory=CellMemory(weights_bytes=2**20, kv_bytes=2**21),
    mbu=None,
    mfu=None,
    energy_j=None,
    output_sha256="00",
    versions={"torch": "2"},
)
