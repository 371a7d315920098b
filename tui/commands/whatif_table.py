"""How `prodtop whatif` shows a trace as it was served, here, and as it is planned."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import NamedTuple

import msgspec

from ...engine.protocol import CellResult, Distribution
from ...engine.text.cleaning import clean
from ...engine.traces.served import Served
from .whatif_planner import Planned

SCHEMA_VERSION = 1
PIPED_WIDTH = 160
UNKNOWN = "--"


class Figure(NamedTuple):
    """A row: how it is read of what is shown, with `digits` behind the point; times `factor`."""

    name: str
    yours: Callable[[Served], float | None]
    here: Callable[[CellResult], float | None]
    planned: Callable[[Planned], float | None]
    digits: int = 1
    factor: float = 1.0


def _no(_: object) -> None:
    return None


def _part(of: Distribution | None, part: str) -> float | None:
    return None if of is None else float(getattr(of, part))


def _latency(
    name: str, field: str, part: str, planned: Callable[[Planned], float | None]
) -> Figure:
    return Figure(
        f"{name} {part}, ms",
        lambda yours: _part(getattr(yours, field), part),
        lambda cell: _part(getattr(cell, field), part),
        planned,
    )


FIGURES = (
    Figure("requests", lambda each: each.requests, lambda each: each.requests, _no, 0),
    Figure("failed", _no, lambda each: each.failed, _no, 0),
    Figure("seconds", lambda each: each.duration_s, lambda each: each.duration_s, _no),
    Figure(
        "output tok/s",
        lambda each: each.output_tok_s,
        lambda each: each.output_tok_s,
        lambda each: each.output_tok_s,
    ),
    Figure("requests/s", lambda each: each.req_s, lambda each: each.req_s, _no, 2),
    _latency("TTFT", "ttft_ms", "mean", lambda each: each.ttft_ms),
    _latency("TTFT", "ttft_ms", "p50", _no),
    _latency("TTFT", "ttft_ms", "p95", _no),
    _latency("TPOT", "tpot_ms", "mean", lambda each: each.tpot_ms),
    _latency("TPOT", "tpot_ms", "p95", _no),
    _latency("E2E", "e2e_ms", "mean", lambda each: each.e2e_ms),
    _latency("E2E", "e2e_ms", "p95", _no),
    Figure(
        "prefix hits, %",
        lambda each: each.prefix_hit_rate,
        lambda each: each.prefix_hit_rate,
        _no,
        factor=100.0,
    ),
    Figure("most at once", lambda each: each.peak_running, lambda each: each.peak_running, _no, 0),
    Figure("$ per million", _no, _no, lambda each: each.usd_per_million, 3),
)


def as_object(
    name: str, yours: Served, cells: Sequence[CellResult], plan: Planned | None
) -> dict[str, object]:
    """What `--json` prints."""
    return {
        "schema_version": SCHEMA_VERSION,
        "trace": name,
        "yours": msgspec.to_builtins(yours),
        "here": [msgspec.to_builtins(cell) for cell in cells],
        "planner": None if plan is None else {**asdict(plan), "e2e_ms": plan.e2e_ms},
    }


def rows(yours: Served, cells: Sequence[CellResult], plan: Planned | None) -> list[list[str]]:
    """The figures that anything is known of: name, yours, each cell with its ratio, the planner."""
    shown = []
    for figure in FIGURES:
        first = figure.yours(yours)
        row = [figure.name, _number(first, figure)]
        for cell in cells:
            value = figure.here(cell)
            ratio = f"×{value / first:.2f}" if value is not None and first else ""
            row += [_number(value, figure), ratio]
        if plan is not None:
            row.append(_number(figure.planned(plan), figure))
        if any(text not in ("", UNKNOWN) for text in row[1:]):
            shown.append(row)
    return shown


def _number(value: float | None, figure: Figure) -> str:
    return UNKNOWN if value is None else f"{value * figure.factor:,.{figure.digits}f}"


def print_table(
    name: str, yours: Served, cells: Sequence[CellResult], plan: Planned | None
) -> None:
    """Print yours, here and the planner side by side."""
    # Here and not above: the other commands need not wait for rich.
    from rich.table import Table

    from .console import CleanConsole

    title = f"{clean(name)}: as it was served when it was recorded, and as it is served here"
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    table.add_column("", no_wrap=True)
    table.add_column("yours", justify="right", no_wrap=True)
    for cell in cells:
        table.add_column(f"here:\n{cell.strategy}\n{cell.precision}", justify="right")
        table.add_column("", no_wrap=True)
    if plan is not None:
        count = "" if plan.gpus is None else f"{plan.gpus} × "
        table.add_column(f"planner:\n{count}{clean(plan.gpu)}", justify="right")
    for row in rows(yours, cells, plan):
        table.add_row(*row)
    console = CleanConsole(PIPED_WIDTH)
    console.print(table)
    for line in _notes(yours, cells, plan):
        console.print(line)


def _notes(yours: Served, cells: Sequence[CellResult], plan: Planned | None) -> list[str]:
    notes = []
    if not yours.told:
        notes.append("yours: the trace does not tell how its requests were served")
    elif yours.told < yours.requests:
        notes.append(f"yours: {yours.told:,} of {yours.requests:,} requests tell how they ended")
    if cells:
        notes.append(f"here: {clean(cells[0].model)} on {clean(cells[0].device)}")
    if plan is not None:
        lengths = f"{plan.in_flight:,} in flight, mean lengths"
        notes.append(f"planner: {clean(plan.model)} at {plan.precision}, {lengths}; an estimate")
    return notes
