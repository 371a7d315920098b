"""What `prodtop bench` prints: JSON lines or a table on stdout, progress on stderr."""

import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from ...engine.protocol import CellResult, CellSkipped, Distribution, Note, Progress
from ...engine.protocol.wording import counted
from ...engine.text.cleaning import clean
from .bench_file import BenchFile, as_object
from .bench_run import BenchReport
from .json_output import print_json
from .status_line import StatusLine

BAR_CELLS = 24

MIB = 2**20
PIPED_WIDTH = 160
"""Columns of the table where there is no terminal to ask: nothing is cut off."""


class BenchOutput:
    """Takes reports as they come. `failures` says of which cells requests failed."""

    def __init__(self, *, json: bool, out: Path | None) -> None:
        """Raises `BadInputError` where `out` cannot be written: before anything is measured."""
        self.failures: list[str] = []
        self._json = json
        self._file = None if out is None else BenchFile(out)
        self._cells: list[CellResult | CellSkipped] = []
        self._status = StatusLine(sys.stderr)

    def take(self, report: BenchReport) -> None:
        match report:
            case Progress():
                self._status.show(progress_text(report))
            case Note():
                self._status.say(clean(report.message))
            case CellResult():
                self._take_result(report)
            case CellSkipped():
                self._take_skipped(report)

    def close(self, *, complete: bool) -> None:
        """Write what is written last. `complete`: all cells were measured; only then is the file
        that `--out` names written. Raises `BadInputError` where it cannot be."""
        self._status.clear()
        if self._file is not None:
            kept = self._file.close(complete=complete)
            if kept is not None:
                self._status.say(f"the cells that were measured are kept in {clean(str(kept))}")
        if not self._json and self._cells:
            print_table(self._cells)

    def _take_result(self, result: CellResult) -> None:
        cell = f"{result.strategy} {result.precision}"
        self._cells.append(result)
        if self._file is not None:
            self._file.add(result)
        if result.failed:
            self.failures.append(
                f"{result.failed} of {counted(result.requests, 'request')} failed in {cell}"
            )
        if result.rejected:
            self._status.say(
                f"{cell}: {result.rejected:,} of {result.requests:,} requests were rejected: the"
                " queue was full (--max-waiting, --max-waiting-mib)"
            )
        if self._json:
            self._status.clear()
            print_json(as_object(result))
        ttft = "" if result.ttft_ms is None else f", TTFT p95 {_p95(result.ttft_ms)} ms"
        self._status.say(f"{cell}: {result.output_tok_s:,.1f} tok/s{ttft}{_of_trace(result)}")

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


def _of_trace(result: CellResult) -> str:
    """What is to be said of a cell whose load is a trace, as the end of its line."""
    if result.trace is None:
        return ""
    dispatch = (
        "" if result.dispatch_ms is None else f", dispatch p99 {result.dispatch_ms.p99:,.1f} ms"
    )
    cut = result.trace.clipped_prompts + result.trace.clipped_outputs
    return dispatch + (f", {cut:,} cut to fit" if cut else "")


def progress_text(progress: Progress) -> str:
    """How far it is, as a line."""
    what = clean(progress.what)
    if progress.fraction is None:
        return what
    done = round(min(max(progress.fraction, 0.0), 1.0) * BAR_CELLS)
    return f"[{'#' * done}{'.' * (BAR_CELLS - done)}] {progress.fraction:.0%} {what}"


def print_table(cells: Sequence[CellResult | CellSkipped]) -> None:
    """Print the cells to stdout, and why precisions were skipped."""
    # Here and not above: the other commands need not wait for rich.
    from rich.table import Table

    from .console import CleanConsole

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
        "rejected",
    ):
        table.add_column(right, justify="right", no_wrap=True)
    for cell in cells:
        table.add_row(*(_result(cell) if isinstance(cell, CellResult) else _skipped(cell)))
    console = CleanConsole(PIPED_WIDTH)
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
        f"{cell.failed:,}",
        f"{cell.rejected:,}",
    ]


def _skipped(cell: CellSkipped) -> list[str]:
    return [cell.strategy, cell.precision, "skipped"]


def _p50(latency: Distribution | None) -> str:
    return "--" if latency is None else f"{latency.p50:,.1f}"


def _p95(latency: Distribution | None) -> str:
    return "--" if latency is None else f"{latency.p95:,.1f}"


def _percent(fraction: float | None) -> str:
    return "--" if fraction is None else f"{fraction:.0%}"
