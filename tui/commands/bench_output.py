"""What `prodtop bench` prints: JSON lines or a table on stdout, progress on stderr."""

import sys
from pathlib import Path

import msgspec

from ...engine.files.atomic import write_atomically
from ...engine.protocol import CellResult, CellSkipped, Distribution, Note, Progress
from ...engine.protocol.errors import BadInputError
from ...engine.text.cleaning import clean
from .bench_run import BenchReport
from .status_line import StatusLine

SCHEMA_VERSION = 1
"""Of the lines in a file written by `--out`."""

BAR_CELLS = 24


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
            from .bench_table import print_table

            print_table(self._cells)

    def _take_result(self, result: CellResult) -> None:
        cell = f"{result.strategy} {result.precision}"
        self._cells.append(result)
        self._write_file()
        if result.failed:
            self.failures.append(f"{result.failed} of {result.requests} requests failed in {cell}")
        if self._json:
            self._status.clear()
            print(msgspec.json.encode(as_object(result)).decode(), flush=True)
        ttft = "" if result.ttft_ms is None else f", TTFT p95 {_p95(result.ttft_ms)}"
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


def _p95(distribution: Distribution) -> str:
    return f"{distribution.p95:,.1f} ms"
