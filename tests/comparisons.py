"""Comparisons whose results a test writes down: no engine has measured them."""

from collections.abc import Sequence

import msgspec
from prodtop.engine.compare.cells import Cell, Comparison, Measured, Work
from prodtop.engine.protocol import (
    CellMemory,
    CellResult,
    Distribution,
    LoadSpec,
    PrecisionName,
    RequestSample,
    StrategyName,
)

WORK = Work(
    model="tiny", device="cpu", load_format="auto", requests=4, warmup=0, max_seqs=32, kv_gib=1.0
)


def cell(
    strategy: str = "hybrid",
    precision: str = "bf16",
    *,
    users: int = 8,
    rate: float | None = None,
    max_seqs: int | None = None,
    drafts: int | None = None,
) -> Cell:
    return Cell(
        strategy=StrategyName(strategy),
        precision=PrecisionName(precision),
        load=LoadSpec(users=users, rate_per_s=rate),
        max_seqs=max_seqs,
        drafts=drafts,
    )


def latency(p95: float) -> Distribution:
    return Distribution(mean=p95 / 2, p50=p95 / 4, p95=p95, p99=p95 * 2)


def sample(
    arrival_s: float = 0.0,
    *,
    e2e_ms: float | None = 100.0,
    ttft_ms: float | None = 50.0,
    tpot_ms: float | None = 10.0,
    response_hit: bool = False,
) -> RequestSample:
    return RequestSample(
        arrival_s=arrival_s,
        end_s=arrival_s + (e2e_ms or 0.0) / 1e3,
        finished=e2e_ms is not None,
        response_hit=response_hit,
        prompt_tokens=10,
        cached_prompt_tokens=4,
        output_tokens=6,
        e2e_ms=e2e_ms,
        ttfb_ms=ttft_ms,
        ttft_ms=ttft_ms,
        tpot_ms=tpot_ms,
    )


def result(
    of: Cell | None = None,
    *,
    tok_s: float = 100.0,
    p95_ms: float = 200.0,
    memory: int = 2**30,
    samples: Sequence[RequestSample] | None = None,
    **fields: object,
) -> CellResult:
    """A repeat in which all latencies are alike and a token takes as long as tok/s says."""
    of = of or cell()
    made = CellResult(
        model="tiny",
        device="cpu",
        strategy=of.strategy,
        precision=of.precision,
        requests=4,
        failed=0,
        rejected=0,
        duration_s=2.0,
        output_tok_s=tok_s,
        total_tok_s=tok_s * 3,
        req_s=tok_s / 10,
        ttft_ms=latency(p95_ms / 4),
        ttfb_ms=latency(p95_ms / 3),
        tpot_ms=latency(p95_ms / 50),
        itl_ms=latency(p95_ms / 40),
        e2e_ms=latency(p95_ms),
        queue_ms=latency(p95_ms / 10),
        batch_waste=0.125,
        response_hit_rate=0.25,
        prefix_hit_rate=0.5,
        draft_acceptance_rate=0.75,
        memory=CellMemory(weights_bytes=2**28, kv_bytes=2**29, peak_bytes=memory),
        mbu=0.4,
        mfu=0.1,
        energy_j=50.0,
        output_sha256="00",
        versions={"torch": "2"},
        max_seqs=32,
        drafts=0,
        peak_running=5,
        peak_kv_bytes=2**27,
        samples=None if samples is None else list(samples),
    )
    return msgspec.structs.replace(made, **fields)


def measured(of: Cell, tok_s: Sequence[float], p95_ms: Sequence[float] | float = 200.0) -> Measured:
    """A cell with a repeat for each of `tok_s`."""
    latencies = [p95_ms] * len(tok_s) if isinstance(p95_ms, float | int) else p95_ms
    pairs = zip(tok_s, latencies, strict=True)
    return Measured(cell=of, repeats=[result(of, tok_s=each, p95_ms=ms) for each, ms in pairs])


def around(value: float, share: float = 0.01, repeats: int = 7) -> list[float]:
    """So many values around one, at most `share` of it away."""
    middle = (repeats - 1) / 2
    return [value * (1 + share * (n - middle) / middle) for n in range(repeats)]


def comparison(*cells: Measured) -> Comparison:
    return Comparison(work=WORK, cells=list(cells))
