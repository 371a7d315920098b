"""A snapshot, for tests that need one."""

import msgspec
from comparisons import cell, comparison, result, sample
from frame_samples import frame
from prodtop.engine.compare.cells import Comparison, Measured
from prodtop.engine.protocol import (
    GreedyText,
    Interval,
    LevelQuality,
    LoadSpec,
    Percentile,
    PrecisionName,
    StrategyName,
    StreamView,
    Summary,
    Window,
)
from prodtop.engine.records.snapshot import QualityRecord, Settings, Snapshot
from prodtop.engine.records.tried import Choice, Tried

TRIED = Tried(
    settings=Choice(
        strategy=StrategyName.BATCHED, precision=PrecisionName.INT8, load=LoadSpec(users=3)
    ),
    figures=Summary(
        span_s=12.0,
        arrivals=40,
        requests=38,
        failed=0,
        decode_tok_s=123.4,
        growth_per_s=0.2,
        growing=False,
        ttft_p95=Percentile(value_ms=81.0, at_least=True),
    ),
    last_seen_wall_s=1_700_000_000.0,
)


def quality() -> QualityRecord:
    """One level of a small model."""
    level = LevelQuality(
        precision=PrecisionName.INT8,
        reference=PrecisionName.BF16,
        weights_bytes=10_535_424,
        scored_tokens=14_025,
        perplexity=Interval(value=20.2, low=19.3, high=21.1),
        ratio=Interval(value=1.0004, low=0.9998, high=1.001),
        divergence=None,
        text=None,
        greedy=GreedyText(prompt="Once\n", text="upon\na time", parts_at=9),
        scored_tok_s=2394.8,
    )
    return QualityRecord(model="small", device="cpu", levels=[level], errors=[], skipped=[])


def compared() -> Comparison:
    """A sweep of three cells that was stopped after the first two."""
    hybrid, single, waiting = (
        cell("hybrid", "bf16"),
        cell("single", "bf16"),
        cell("hybrid", "int8"),
    )
    repeats = [result(hybrid, tok_s=tok_s, samples=[sample()]) for tok_s in (100.0, 102.0)]
    return comparison(
        Measured(cell=hybrid, repeats=repeats),
        Measured(cell=single, failure="the worker died"),
        Measured(cell=waiting),
    )


def snapshot(*, text: str = "Once upon a time", **changes: object) -> Snapshot:
    """A snapshot whose stream shows `text`, with these fields changed."""
    stream = StreamView(
        request_id=1,
        prompt="Begin",
        text=text,
        generated_tokens=4,
        max_tokens=16,
        finished=False,
        held=False,
    )
    whole = Snapshot(
        saved_wall_s=1_700_000_000.0,
        frame=frame(stream=stream),
        host=None,
        settings=Settings(
            strategy=StrategyName.HYBRID,
            precision=PrecisionName.FP32,
            load=LoadSpec(),
            window=Window.M1,
            theme="prodtop-dark",
        ),
        versions={"prodtop": "0.1.0"},
        series={"decode": [(1.0, 120.5), (2.0, 123.4)]},
        events=["ready"],
        tried=[TRIED],
        label="before lunch",
    )
    return msgspec.structs.replace(whole, **changes)
