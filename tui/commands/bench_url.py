"""`prodtop bench --url`: the same load and the same figures of a server that runs already."""

import secrets
import sys
from pathlib import Path

from ...engine.attach.asking.addresses import server_url
from ...engine.attach.asking.settings import ServerSettings
from ...engine.http_load.messages import HttpLoadOptions, LoadProgress, ServerResult
from ...engine.protocol import LoadSpec
from ...engine.protocol.errors import BadInputError, ProdtopError
from ...engine.protocol.wording import counted
from ...engine.text.cleaning import clean
from ..style.formatting import milliseconds
from .bench_file import BenchFile, as_object
from .engine_options import Given
from .http_load import generated, lag_words
from .json_output import print_json
from .status_line import StatusLine


def bench_url(
    url: str,
    load: LoadSpec,
    *,
    requests: int,
    warmup: int,
    model: str | None,
    token_file: str | None,
    json: bool,
    out: Path | None,
) -> None:
    """Measure one load on a server, and print what came of it. Raises `ProdtopError`."""
    file = None if out is None else BenchFile(out)
    options = HttpLoadOptions(
        server=ServerSettings(url=server_url(url), token_file=token_file),
        loads=[load],
        requests=requests,
        warmup=warmup,
        model=model,
        api="chat" if load.chat else "completions",
        salt=secrets.token_hex(4),
    )
    status = StatusLine(sys.stderr)
    result = None
    for told in generated(options):
        match told:
            case LoadProgress(done=done, requests=of, failed=failed):
                wrong = f", {failed} failed" if failed else ""
                status.show(f"{done} of {counted(of, 'request')}{wrong}")
            case ServerResult():
                result = told
    status.clear()
    if result is None:
        raise ProdtopError("nothing was measured")
    if (lag := lag_words(result)) != "":
        status.say(lag)
    if file is not None:
        file.add(result)
        file.close(complete=True)
    if json:
        print_json(as_object(result))
    else:
        print("\n".join(_lines(result)))
    if result.failed:
        reasons = "; ".join(f"{number} × {clean(why)}" for why, number in result.errors.items())
        raise ProdtopError(
            f"{result.failed} of {counted(result.requests, 'request')} failed: {reasons}"
        )


OWN_OPTIONS = (
    "device",
    "load_format",
    "max_seqs",
    "context_tokens",
    "kv_gib",
    "kv_format",
    "speculate",
    "draft_model",
    "threads",
)
"""What only an engine of our own can be started with."""


def refuse_own_options(given: Given, defaults: Given, *others: str) -> None:
    """Raise `BadInputError` for options of our own engine; `others` are such that were given."""
    wrong = [name for name in OWN_OPTIONS if given.get(name) != defaults.get(name)]
    if wrong or others:
        names = ", ".join(f"--{name.replace('_', '-')}" for name in (*others, *wrong))
        raise BadInputError(f"{names}: a server is measured as it was started, not set")


def _lines(result: ServerResult) -> list[str]:
    rows = [
        f"{clean(result.model)} at {clean(result.url)} ({result.api})",
        f"  {result.output_tok_s:,.1f} tok/s, {result.req_s:,.2f} req/s over"
        f" {result.duration_s:,.1f} s, {result.peak_running} at once at most",
    ]
    for name in ("ttft", "tpot", "itl", "e2e"):
        of = getattr(result, f"{name}_ms")
        if of is not None:
            points = ("p50", "p95", "p99")
            parts = (f"{point} {milliseconds(getattr(of, point))}" for point in points)
            rows.append(f"  {name.upper():<5}{', '.join(parts)}")
    rejected = f", {result.rejected:,} rejected" if result.rejected else ""
    rows.append(f"  {counted(result.requests, 'request')}, {result.failed:,} failed{rejected}")
    return rows
