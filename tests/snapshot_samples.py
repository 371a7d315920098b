"""A snapshot, for tests that need one."""

import msgspec
from frame_samples import frame
from prodtop.engine.protocol import (
    LoadSpec,
    Percentile,
    PrecisionName,
    StrategyName,
    StreamView,
    Summary,
    Window,
)
from prodtop.engine.records.snapshot import Settings, Snapshot
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
