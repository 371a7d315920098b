"""`prodtop compare`: every strategy at every precision, measured until the medians are narrow."""

from pathlib import Path
from typing import Annotated

import typer

from ...engine.compare.recommend import Wishes
from ...engine.compare.samples import Limits
from ...engine.compare.schedule import Goal
from ...engine.protocol import LoadSpec
from ...engine.protocol.bench import MOST_SAMPLED_REQUESTS
from ...engine.protocol.errors import BadInputError
from ...engine.protocol.options import WorkerOptions
from .arguments import (
    Debug,
    Json,
    Precisions,
    UrlTokenFile,
    parse_precisions,
    parse_strategies,
)
from .compare_file import KeptFile, check_exports
from .compare_measure import Question, kept_comparison, measured_comparison
from .compare_options import parse_metrics, parse_variants, require_finite
from .compare_report import Wanted, finish, read_baseline, read_quality
from .compare_url import Asked, compare_urls
from .engine_options import MEASURING, Given, engine_options, with_engine_options

_Ms = Annotated[float | None, typer.Option(metavar="MS", min=0, help="The limit of a request.")]


@with_engine_options(**MEASURING)
def compare(
    given: Given,
    strategy: Annotated[
        str, typer.Option(metavar="a,b|all", help="The strategies to measure.")
    ] = "all",
    precision: Precisions = None,
    users: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,…", help="Load curve: requests in the system.  [default: 8, unless --rate]"
        ),
    ] = None,
    rates: Annotated[
        str | None, typer.Option(metavar="A,B,…", help="Load curve: requests a second.")
    ] = None,
    vary: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=A,B", help="Settings to compare: max-seqs, drafts (0: none)."),
    ] = None,
    requests: Annotated[
        int,
        typer.Option(
            metavar="N", min=1, max=MOST_SAMPLED_REQUESTS, help="Requests of each repeat."
        ),
    ] = 32,
    ignore_eos: Annotated[
        bool,
        typer.Option(
            "--ignore-eos/--no-ignore-eos", help="Generate every token: the same work everywhere."
        ),
    ] = True,
    warmup: Annotated[
        int, typer.Option(metavar="N", min=0, help="Requests before each repeat, not measured.")
    ] = 2,
    steady: Annotated[
        bool,
        typer.Option(
            "--steady/--no-steady", help="Run each cell's work until it is no faster, first."
        ),
    ] = True,
    repeats: Annotated[
        int, typer.Option(metavar="N", min=1, help="The most repeats of each cell.")
    ] = 12,
    within: Annotated[
        float,
        typer.Option(
            metavar="PERCENT",
            min=0,
            help="A cell is done when tok/s and E2E are known so narrowly.",
        ),
    ] = 2.0,
    budget: Annotated[
        float,
        typer.Option(
            metavar="SECONDS", min=0, help="Begin no more repeats after so long; 0: no limit."
        ),
    ] = 540.0,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Keep what is measured there, as JSON lines."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with what --out has kept.")
    ] = False,
    read: Annotated[
        Path | None,
        typer.Option("--from", metavar="FILE", help="Measure nothing: show what --out has kept."),
    ] = None,
    metric: Annotated[
        str | None, typer.Option(metavar="a,b", help="The metrics to show; --json has all.")
    ] = None,
    baseline: Annotated[
        str | None,
        typer.Option(metavar="CELL", help="Compare with this cell, such as 'single bf16'."),
    ] = None,
    sort: Annotated[
        str | None, typer.Option(metavar="METRIC", help="The best first, by this metric.")
    ] = None,
    only: Annotated[
        str | None,
        typer.Option("--filter", metavar="WORDS", help="Show cells with all of these words."),
    ] = None,
    recommend: Annotated[
        bool, typer.Option("--recommend", help="Say which cell is best within the limits, and why.")
    ] = False,
    ttft_ms: _Ms = None,
    ttfb_ms: _Ms = None,
    tpot_ms: _Ms = None,
    e2e_ms: _Ms = None,
    memory_gib: Annotated[
        float | None, typer.Option(metavar="G", min=0, help="The most memory the engine may hold.")
    ] = None,
    min_quality: Annotated[
        float | None,
        typer.Option(metavar="SHARE", min=0, help="The least retention, such as 0.99."),
    ] = None,
    quality: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="What prodtop quality --json printed."),
    ] = None,
    export: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="Write a report: .csv, .json, .md or .html."),
    ] = None,
    against: Annotated[
        Path | None, typer.Option(metavar="FILE", help="An earlier --out to compare with.")
    ] = None,
    fail_on: Annotated[
        list[str] | None,
        typer.Option(metavar="RULE", help="Exit 3 for a change such as 'output_tok_s<-5%'."),
    ] = None,
    url: Annotated[
        list[str] | None,
        typer.Option(metavar="URL", help="Compare servers that run already; give it twice."),
    ] = None,
    token_file: UrlTokenFile = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Compare strategies and precisions: medians of repeats on the same work, with intervals."""
    require_finite(
        within=within,
        budget=budget,
        ttft_ms=ttft_ms,
        ttfb_ms=ttfb_ms,
        tpot_ms=tpot_ms,
        e2e_ms=e2e_ms,
        memory_gib=memory_gib,
        min_quality=min_quality,
    )
    limits = Limits(ttft_ms=ttft_ms, ttfb_ms=ttfb_ms, tpot_ms=tpot_ms, e2e_ms=e2e_ms)
    wanted = Wanted(
        metrics=parse_metrics(metric),
        sort=None if sort is None else parse_metrics(sort)[0],
        baseline=baseline,
        only=only,
        limits=limits,
        wishes=Wishes(limits=limits, memory_gib=memory_gib, min_quality=min_quality)
        if recommend
        else None,
        retention=None if quality is None else read_quality(quality),
        judged=read_baseline(against, fail_on or []),
        exports=export or [],
        json=json,
    )
    check_exports(wanted.exports)
    if url:
        load = engine_options(
            given, WorkerOptions(load=LoadSpec(users=8, ignore_eos=ignore_eos), idle=True)
        ).load
        variants = parse_variants(load, users=users, rates=rates, vary=vary or [])
        compare_urls(
            Asked(
                urls=url,
                loads=[each.load for each in variants],
                requests=requests,
                warmup=warmup,
                repeats=repeats,
                model=None if given["model"] == MEASURING["model"] else str(given["model"]),
                token_file=token_file,
            ),
            json=json,
        )
        return
    if token_file is not None:
        raise BadInputError("--token-file goes with --url")
    if read is not None:
        if out is not None or resume:
            raise BadInputError("--from measures nothing: it goes without --out and --resume")
        finish(kept_comparison(read), wanted)
        return
    if resume and out is None:
        raise BadInputError("--resume needs --out FILE: what to go on with")
    options = engine_options(
        given,
        WorkerOptions(load=LoadSpec(users=8, ignore_eos=ignore_eos), idle=True),
    )
    limit_s = budget or None
    question = Question(
        options=options,
        strategies=parse_strategies(strategy),
        precisions=None if precision is None else parse_precisions(precision),
        variants=parse_variants(options.load, users=users, rates=rates, vary=vary or []),
        requests=requests,
        warmup=warmup,
        goal=Goal(most_repeats=repeats, within=within / 100, budget_s=limit_s, steady=steady),
    )
    kept = None if out is None else KeptFile(out, resume=resume)
    finish(measured_comparison(question, kept, wanted.judged), wanted)
