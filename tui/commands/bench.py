"""`prodtop bench`: measure strategies and precisions without a screen."""

from pathlib import Path
from typing import Annotated

import typer

from ...engine.client.local_engine import LocalEngine
from ...engine.protocol import BenchSpec, LoadSpec
from ...engine.protocol.errors import BadInputError, ProdtopError
from ...engine.protocol.options import BUNDLED_MODEL, KvFormat, LoadFormat, WorkerOptions
from .arguments import (
    BURSTINESS,
    CHAT,
    CONTEXT_TOKENS,
    DEVICE,
    DRAFT_MODEL,
    KV_FORMAT,
    KV_GIB,
    LOAD_FORMAT,
    MAX_SEQS,
    MODEL,
    OUTPUT_TOKENS,
    PROMPT_TOKENS,
    RATE,
    SEED,
    SPECULATE,
    TEMPERATURE,
    THREADS,
    ZIPF,
    Debug,
    Json,
    check_model,
    check_not_negative,
    check_positive,
    parse_precisions,
    parse_range,
    parse_strategies,
    speculation,
)
from .bench_output import BenchOutput
from .bench_run import Plan, measure


def bench(
    model: Annotated[str, MODEL] = BUNDLED_MODEL,
    device: Annotated[str, DEVICE] = "auto",
    strategy: Annotated[
        str, typer.Option(metavar="a,b|all", help="The strategies to measure.")
    ] = "continuous",
    precision: Annotated[
        str | None,
        typer.Option(metavar="a,b|all", help="The precisions; the device's own, unless given."),
    ] = None,
    load_format: Annotated[LoadFormat, LOAD_FORMAT] = "auto",
    requests: Annotated[int, typer.Option(metavar="N", min=1, help="Requests of each cell.")] = 32,
    concurrency: Annotated[
        int | None,
        typer.Option(
            metavar="C",
            min=1,
            help="Requests in the system at a time.  [default: 8, unless --rate]",
        ),
    ] = None,
    rate: Annotated[float | None, RATE] = None,
    burstiness: Annotated[float, BURSTINESS] = 1.0,
    prompt_tokens: Annotated[str | None, PROMPT_TOKENS] = None,
    output_tokens: Annotated[str, OUTPUT_TOKENS] = "64",
    zipf: Annotated[float, ZIPF] = LoadSpec().zipf_exponent,
    temperature: Annotated[float, TEMPERATURE] = 0.0,
    seed: Annotated[int, SEED] = 0,
    ignore_eos: Annotated[
        bool, typer.Option("--ignore-eos", help="Generate every token asked for.")
    ] = False,
    chat: Annotated[bool, CHAT] = False,
    max_seqs: Annotated[int, MAX_SEQS] = WorkerOptions().max_seqs,
    context_tokens: Annotated[int | None, CONTEXT_TOKENS] = None,
    kv_gib: Annotated[float | None, KV_GIB] = None,
    speculate: Annotated[int | None, SPECULATE] = None,
    draft_model: Annotated[str | None, DRAFT_MODEL] = None,
    kv_format: Annotated[KvFormat, KV_FORMAT] = "auto",
    threads: Annotated[int | None, THREADS] = None,
    warmup: Annotated[
        int, typer.Option(metavar="N", min=0, help="Requests before each cell, not measured.")
    ] = 2,
    json: Json = False,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the cells there, as JSON lines.")
    ] = None,
    debug: Debug = False,
) -> None:
    """Measure strategies and precisions without a screen: one cell for each pair of them."""
    check_positive("--rate", rate)
    check_positive("--burstiness", burstiness)
    check_positive("--kv-gib", kv_gib)
    check_not_negative("--zipf", zipf)
    check_not_negative("--temperature", temperature)
    if rate is not None and concurrency is not None:
        raise BadInputError("--rate and --concurrency exclude each other: give one of them")
    shortest, longest = parse_range("--output-tokens", output_tokens)
    shortest_prompt, longest_prompt = (
        (None, None) if prompt_tokens is None else parse_range("--prompt-tokens", prompt_tokens)
    )
    spec = BenchSpec(
        strategies=parse_strategies(strategy),
        precisions=[] if precision is None else parse_precisions(precision),
        requests=requests,
        warmup=warmup,
        load=LoadSpec(
            users=8 if concurrency is None else concurrency,
            rate_per_s=rate,
            burstiness=burstiness,
            zipf_exponent=zipf,
            output_tokens_min=shortest,
            output_tokens_max=longest,
            prompt_tokens_min=shortest_prompt,
            prompt_tokens_max=longest_prompt,
            temperature=temperature,
            ignore_eos=ignore_eos,
            chat=chat,
            seed=seed,
        ),
    )
    options = WorkerOptions(
        model=check_model(model),
        device=device,
        strategy=spec.strategies[0],
        # The worker begins at the first precision asked for, so that it need not switch to it.
        precision=spec.precisions[0] if spec.precisions and not _all(precision) else None,
        load=spec.load,
        load_format=load_format,
        max_seqs=max_seqs,
        context_tokens=context_tokens,
        kv_gib=kv_gib,
        kv_format=kv_format,
        threads=threads,
        speculation=speculation(speculate, draft_model),
        idle=True,
    )
    output = BenchOutput(json=json, out=out)
    _measure(options, Plan(spec, skip_unavailable=_all(precision)), output)


def _all(precision: str | None) -> bool:
    return precision is not None and precision.strip().lower() == "all"


def _measure(options: WorkerOptions, plan: Plan, output: BenchOutput) -> None:
    """Run the plan; raises `ProdtopError` at the end where something in it failed."""
    # No probe: it would only disturb what is measured.
    engine = LocalEngine(options, probe_command=None)
    engine.start()
    try:
        for report in measure(engine, plan):
            output.take(report)
    finally:
        engine.close()
        output.close()
    if output.failures:
        raise ProdtopError(output.failures[0])
