"""What `prodtop whatif` prints: a table for a terminal, or one JSON object."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from ...engine.compare.wording import MISSING, Unit, digits, figure
from ...engine.metrics.recorded import RecordedFigures
from ...engine.protocol import CellResult, CellSkipped
from ...engine.protocol.wording import counted
from ...engine.text.cleaning import clean
from ...engine.traces.summary import TraceSummary
from .bench_file import as_object
from .whatif_columns import LINES, Column
from .whatif_planner import Planned

PIPED_WIDTH = 160
"""Columns where there is no terminal to ask."""
LABEL_CELLS, YOURS_CELLS, HERE_CELLS, PLANNER_CELLS = 16, 10, 20, 12
"""What a column takes at most, with the gap to the next one."""
SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatIf:
    """All that is printed. `unplayed`: requests that failed without a token, in yours alone."""

    summary: TraceSummary
    speed: float
    unplayed: int
    recorded: RecordedFigures | None
    yours: Column
    here: list[Column]
    planner: list[Column]
    cells: list[CellResult | CellSkipped]
    planned: list[Planned]


def print_whatif(found: WhatIf) -> None:
    """Print it to stdout: as many columns beside each other as fit, yours in front of each part."""
    # Here and not above: the other commands need not wait for rich.
    from rich.table import Table
    from rich.text import Text

    from .console import CleanConsole

    console = CleanConsole(PIPED_WIDTH, highlight=False)
    console.print(Text(_title(found)))
    for number, part in enumerate(parts([*found.here, *found.planner], console.width)):
        if number:
            console.print()
        table = Table(box=None, pad_edge=False)
        table.add_column("")
        table.add_column("\n".join(found.yours.heading), justify="right", no_wrap=True)
        for column in part:
            table.add_column("\n".join(column.heading), justify="right", no_wrap=True)
            if column in found.here:
                table.add_column("÷ yours", justify="right", no_wrap=True)
        for index in range(len(LINES)):
            table.add_row(*row_of(index, found, part))
        console.print(table)
    for line in notes(found):
        console.print(Text(line))


def parts(columns: Sequence[Column], width: int) -> list[list[Column]]:
    """The columns, as many a table as fit into `width`; one at least, and one table at least."""
    room = width - LABEL_CELLS - YOURS_CELLS
    found: list[list[Column]] = [[]]
    taken = 0
    for column in columns:
        cells = HERE_CELLS if column.kind == "here" else PLANNER_CELLS
        if found[-1] and taken + cells > room:
            found.append([])
            taken = 0
        found[-1].append(column)
        taken += cells
    return found


def row_of(index: int, found: WhatIf, part: Sequence[Column]) -> list[str]:
    """One line of the table, as cells."""
    line = LINES[index]
    cells = [line.label, _figure(found.yours, index)]
    for column in part:
        cells.append(_figure(column, index))
        if column in found.here:
            ratio = column.ratio(line, found.yours)
            missing = MISSING if line.compared else ""
            cells.append(missing if ratio is None else f"×{digits(ratio)}")
    return cells


def _figure(column: Column, index: int) -> str:
    line = LINES[index]
    return figure(column.figures.get(line.name), line.unit, with_unit=False)


def _title(found: WhatIf) -> str:
    first = next((cell for cell in found.cells if isinstance(cell, CellResult)), None)
    on = "" if first is None else f" on {clean(first.model)}, {clean(first.device)}"
    pace = "" if found.speed == 1 else f" ×{found.speed:g}"
    return f"{clean(found.summary.name)}{pace}{on}"


def notes(found: WhatIf) -> list[str]:
    """What is to be said below the table, each a line."""
    lines: list[str] = []
    if found.recorded is None:
        lines.append(
            "yours is --: the trace does not say how its requests went; record one with prodtop"
            " attach URL --proxy PORT --record-trace FILE"
        )
    elif found.recorded.measured < found.recorded.requests:
        lines.append(
            f"yours is of the {found.recorded.measured:,} of {found.recorded.requests:,} requests"
            " whose lines say how they went"
        )
    if found.unplayed:
        which = counted(found.unplayed, "request", grouped=True)
        lines.append(f"{which} of yours failed before the first token: not played here")
    for cell in found.cells:
        lines += [clean(each) for each in _of_cell(cell)]
    return lines + [clean(_of_plan(each)) for each in found.planned]


def _of_cell(cell: CellResult | CellSkipped) -> list[str]:
    name = f"{cell.strategy} {cell.precision}"
    if isinstance(cell, CellSkipped):
        return [f"{name} skipped: {cell.reason}"]
    lines: list[str] = []
    cut = 0 if cell.trace is None else cell.trace.clipped_prompts + cell.trace.clipped_outputs
    if cut:
        lines.append(f"{name}: {cut:,} prompts or outputs cut to fit the context")
    if cell.rejected:
        lines.append(f"{name}: {cell.rejected:,} of the failed were rejected: the queue was full")
    return lines


def _of_plan(planned: Planned) -> str:
    name = f"planner, {planned.gpus or ''}× {planned.gpu.name}, {planned.precision}"
    result, load = planned.result, planned.load
    if result is None:
        return f"planner, {planned.gpu.name}, {planned.precision}: {planned.reason}"
    most = figure(result.most_req_s, Unit.REQUESTS_PER_S)
    rate = figure(result.rate_req_s, Unit.REQUESTS_PER_S)
    lengths = f"{load.prompt_tokens:,} prompt and {load.output_tokens:,} output tokens"
    takes = f"takes {most}, {figure(result.full.tokens_s, Unit.TOKENS_PER_S)} at most"
    if result.at is None:
        return f"{name}: {takes}, and {rate} come: requests wait ever longer ({lengths})"
    flight = f"{counted(result.at.load.requests, 'request', grouped=True)} in flight"
    return f"{name}: at {rate} {flight}; {takes} ({lengths}; an estimate)"


def json_object(found: WhatIf) -> dict[str, object]:
    """One object: each column's figures by name, and all that was measured behind them."""
    return {
        "schema_version": SCHEMA_VERSION,
        "trace": msgspec.to_builtins(found.summary),
        "speed": found.speed,
        "yours": {
            **_named(found.yours),
            "measured": 0 if found.recorded is None else found.recorded.measured,
            "duration_s": None if found.recorded is None else found.recorded.duration_s,
        },
        "here": [
            {
                **_named(column),
                "over_yours": {
                    line.name: column.ratio(line, found.yours) for line in LINES if line.compared
                },
                "cell": as_object(cell),
            }
            for column, cell in zip(found.here, _results(found), strict=True)
        ],
        "skipped": [
            {"strategy": cell.strategy, "precision": cell.precision, "reason": clean(cell.reason)}
            for cell in found.cells
            if isinstance(cell, CellSkipped)
        ],
        "planner": [
            {**_named(column), **_plan_object(each)}
            for column, each in zip(found.planner, found.planned, strict=True)
        ],
    }


def _named(column: Column) -> dict[str, object]:
    return {line.name: column.figures.get(line.name) for line in LINES}


def _results(found: WhatIf) -> list[CellResult]:
    return [cell for cell in found.cells if isinstance(cell, CellResult)]


def _plan_object(planned: Planned) -> dict[str, object]:
    result = planned.result
    at = None if result is None else result.at
    return {
        "gpu": planned.gpu.key,
        "precision": planned.precision,
        "gpus": planned.gpus,
        "mean_prompt_tokens": planned.load.prompt_tokens,
        "mean_output_tokens": planned.load.output_tokens,
        "reason": planned.reason,
        "rate_req_s": None if result is None else result.rate_req_s,
        "requests_in_flight": None if at is None else at.load.requests,
        "keeps_up": None if result is None else at is not None,
        "most_req_s": None if result is None else result.most_req_s,
        "most_output_tok_s": None if result is None else result.full.tokens_s,
    }
