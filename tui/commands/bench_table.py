"""The table that `prodtop bench` prints."""

import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from ...engine.protocol import CellResult, CellSkipped, Distribution
from ...engine.text.cleaning import clean

MIB = 2**20
PIPED_WIDTH = 160
"""Columns where there is no terminal to ask: nothing is cut off."""


def print_table(cells: Sequence[CellResult | CellSkipped]) -> None:
    """Print the cells to stdout, and why precisions were skipped."""
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
