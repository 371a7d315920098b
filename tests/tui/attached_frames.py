"""Frames of an attached server: what a vLLM tells, and what the barest server does."""

import msgspec
from frames import frame
from prodtop.engine.protocol import (
    Attached,
    Blocks,
    Cache,
    EngineKind,
    Figure,
    Frame,
    HitRates,
    Latency,
    ModelInfo,
    Origin,
    Queue,
    Roofline,
    Throughput,
    Window,
)

URL = "http://127.0.0.1:8000"
NO_METRIC = "this server has no metric for it"


def attached_frame(second: float = 60.0) -> Frame:
    """What a busy vLLM tells: no settings, no memory, KV blocks without those that are kept."""
    ours = frame(second)
    latency = ours.latency[Window.M1]
    told = msgspec.structs.replace(
        latency,
        ttfb=None,
        itl=None
        if latency.itl is None
        else msgspec.structs.replace(latency.itl, p50_ms=10.0, below_ms=10.0),
    )
    return msgspec.structs.replace(
        bare_frame(second),
        model=ModelInfo(
            name="meta-llama/Llama-3.1-8B-Instruct",
            parameters=None,
            layers=None,
            context_tokens=131_072,
            vocabulary=None,
        ),
        attached=Attached(
            kind=EngineKind.VLLM,
            url=URL,
            name="chat",
            version="0.26.0",
            scraped_per_s=1.0,
            scrape_ms=4.2,
            origins={
                Figure.DECODE_TOK_S: Origin(
                    expression="rate(vllm:generation_tokens_total)", age_s=0.4
                ),
                Figure.MEMORY: Origin(missing=NO_METRIC),
            },
        ),
        throughput=msgspec.structs.replace(ours.throughput, steps_per_s=None, batch_waste=None),
        latency=dict.fromkeys(Window, told),
        cache=Cache(
            blocks=Blocks(
                total=27_892, running=8_412, evictable=None, free=19_480, block_tokens=16
            ),
            rates=dict.fromkeys(Window, HitRates(prefix=0.63)),
        ),
        queue=Queue(running=64, waiting=3, mean_waiting=2.5, waiting_per_s=0.1),
        accounting=ours.accounting,
        generated_tokens_total=ours.generated_tokens_total,
        averages=ours.averages,
    )


def bare_frame(second: float = 60.0) -> Frame:
    """What a server tells of itself that only answers: nothing that a frame can be without."""
    return Frame(
        sequence=round(second),
        at_s=500.0 + second,
        wall_s=frame(second).wall_s,
        uptime_s=second,
        model=ModelInfo(
            name="", parameters=None, layers=None, context_tokens=None, vocabulary=None
        ),
        attached=Attached(kind=EngineKind.UNKNOWN, url=URL, name=URL),
        device="",
        device_name="",
        strategy=None,
        precision=None,
        precisions=[],
        load=None,
        throughput=Throughput(
            prefill_tok_s=None,
            decode_tok_s=None,
            cached_tok_s=None,
            requests_per_s=None,
            arrivals_per_s=None,
            rejected_per_s=None,
            steps_per_s=None,
        ),
        latency=dict.fromkeys(Window, Latency()),
        cache=Cache(blocks=None, rates={}),
        queue=Queue(running=None, waiting=None, preemptions=None),
        accounting=None,
        memory=None,
        roofline=Roofline(),
        max_seqs=None,
        generated_tokens_total=None,
    )
