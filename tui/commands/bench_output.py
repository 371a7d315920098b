"""What `prodtop bench` prints: JSON lines or a table on stdout, progress on stderr."""

import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from ...engine.files.atomic import write_atomically
from ...engine.protocol import CellResult, CellSkipped, Distribution, Note, Progress
from ...engine.protocol.errors import BadInputError
from ...engine.protocol.wording import counted
from ...engine.text.cleaning import clean
from .bench_run import BenchReport
from .status_line import StatusLine

SCHEMA_VERSION = 1
"""Of the lines in a file written by `--out`."""

BAR_CELLS = 24

MIB = 2**20
PIPED_WIDTH = 160
"""Columns of the table where there is no terminal to ask: nothing is cut off."""


def as_object(result: CellResult) -> dict[str, object]:
    """The fields of a result, without the tag that the protocol needs."""
    fields: dict[str, object] = msgspec.to_builtins(result)
    del fields["type"]
    return fields


class BenchOutput:
    """Takes reports as they come. `failures` says of which cells requests failed."""

    def __init__(self, *, json: bool, out: Path | None) -> None:
        """Raises `BadInputError` where `out` cannot be written: before anything is measured."""
        self.failures: list[str] = []
        self._json = json
        self._out = out
        self._cells: list[CellResult | CellSkipped] = []
        self._status = StatusLine(sys.stderr)
        self._write_file()

    def take(self, report: BenchReport) -> None:
        match report:
            case Progress():
                self._status.show(_progress(report))
            case Note():
                self._status.say(clean(report.message))
            case CellResult():
                self._take_result(report)
            case CellSkipped():
                self._take_skipped(report)

    def close(self) -> None:
        """Print what is printed last."""
        self._status.clear()
        if not self._json and self._cells:
            print_table(self._cells)

    def _take_result(self, result: CellResult) -> None:
        cell = f"{result.strategy} {result.precision}"
        self._cells.append(result)
        self._write_file()
        if result.failed:
            self.failures.append(
                f"{result.failed} of {counted(result.requests, 'request')} failed in {cell}"
            )
        if self._json:
            self._status.clear()
            print(msgspec.json.encode(as_object(result)).decode(), flush=True)
        ttft = "" if result.ttft_ms is None else f", TTFT p95 {_p95(result.ttft_ms)} ms"
        self._status.say(f"{cell}: {result.output_tok_s:,.1f} tok/s{ttft}")

    def _take_skipped(self, skipped: CellSkipped) -> None:
        """The table has the reason below it; with JSON it goes to stderr."""
        self._cells.append(skipped)
        if self._json:
            line = {
                "strategy": skipped.strategy,
                "precision": skipped.precision,
                "skipped": clean(skipped.reason),
            }
            self._status.say(msgspec.json.encode(line).decode())

    def _write_file(self) -> None:
        """Write all results so far: a bench that is cut off leaves what it measured."""
        if self._out is None:
            return
        lines = [
            msgspec.json.encode({"schema_version": SCHEMA_VERSION, **as_object(cell)}) + b"\n"
            for cell in self._cells
            if isinstance(cell, CellResult)
        ]
        try:
            write_atomically(self._out, b"".join(lines))
        except OSError as error:
            raise BadInputError(
                f"cannot write --out {clean(str(self._out))}: {error.strerror}"
            ) from error


def _progress(progress: Progress) -> str:
    what = clean(progress.what)
    if progress.fraction is None:
        return what
    done = round(min(max(progress.fraction, 0.0), 1.0) * BAR_CELLS)
    return f"[{'#' * done}{'.' * (BAR_CELLS - done)}] {progress.fraction:.0%} {what}"


def print_table(cells: Sequence[CellResult | CellSkipped]) -> None:
    """Print the cells to stdout, and why precisions were skipped."""
    # Here and not above: the other commands need not wait for rich.
    from rich.console import Console
    from rich.table import Table

    table = Table(title=_title(cells), title_justify="left", box=None, pad_edge=False)
    for left in ("strategy", "precision"):
        table.add_column(left)
    for right in (
        "tok/s",
        "req/s",
        "TTFT p50",
        "p95",
        "TPOT p50",
        "E2E p95",
        "waste",
        "response",
        "prefix",
        "drafts",
        "weights",
        "failed",
    ):
        table.add_column(right, justify="right", no_wrap=True)
    for cell in cells:
        table.add_row(*(_result(cell) if isinstance(cell, CellResult) else _skipped(cell)))
    console = Console(width=None if sys.stdout.isatty() else PIPED_WIDTH, markup=False)
    console.print(table)
    skipped = {cell.precision: cell.reason for cell in cells if isinstance(cell, CellSkipped)}
    for precision, reason in skipped.items():
        console.print(f"{precision} skipped: {clean(reason)}")


def _title(cells: Sequence[CellResult | CellSkipped]) -> str | None:
    for cell in cells:
        if isinstance(cell, CellResult):
            return f"{clean(cell.model)} on {clean(cell.device)}; latencies in ms, weights in MiB"
    return None


def _result(cell: CellResult) -> list[str]:
    return [
        cell.strategy,
        cell.precision,
        f"{cell.output_tok_s:,.1f}",
        f"{cell.req_s:,.2f}",
        _p50(cell.ttft_ms),
        _p95(cell.ttft_ms),
        _p50(cell.tpot_ms),
        _p95(cell.e2e_ms),
        _percent(cell.batch_waste),
        _percent(cell.response_hit_rate),
        _percent(cell.prefix_hit_rate),
        _percent(cell.draft_acceptance_rate),
        f"{cell.memory.weights_bytes / MIB:,.1f}",
        f"{cell.failed}",
    ]


def _skipped(cell: CellSkipped) -> list[str]:
    return [cell.strategy, cell.precision, "skipped"]


def _p50(latency: Distribution | None) -> str:
    return "--" if latency is None else f"{latency.p50:,.1f}"


def _p95(latency: Distribution | None) -> str:
    return "--" if latency is None else f"{latency.p95:,.1f}"


def _percent(fraction: float | None) -> str:
    return "--" if fraction is None else f"{fraction:.0%}"
