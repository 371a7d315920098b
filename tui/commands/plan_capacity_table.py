"""The tables that `prodtop plan capacity` prints."""

from collections.abc import Iterable, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from ...engine.planner.cost.memory import GIB
from ...engine.planner.explain.serving import explain_capacity
from ...engine.planner.serving_capacity.capacity import BATCHES, Capacity, Cell, speeds
from ...engine.protocol.wording import counted
from ...engine.text.cleaning import clean
from ..planner.formula_text import explained_lines
from ..planner.units import parameters
from .console import CleanConsole
from .plan_capacity import CapacityMatrix

PIPED_WIDTH = 120
"""Columns where there is no terminal to ask: nothing is cut off."""
MISSING = "--"


def print_matrix(matrix: CapacityMatrix, *, explained: bool) -> None:
    """Print the matrix to stdout; `explained` adds every figure's formula."""
    console = CleanConsole(PIPED_WIDTH)
    console.print(_heading(matrix), soft_wrap=True)
    for part in _details(matrix) if matrix.one_gpu_type else _overview(matrix):
        console.print(part)
    notes = (f"{gpu.name}: {gpu.note}" for gpu in matrix.gpus if gpu.note)
    for line in (*_reasons(matrix), *_prices(matrix), *notes, _origin(matrix)):
        console.print(Text(clean(line)), soft_wrap=True)
    if explained:
        for cell in matrix.cells:
            if cell.result is not None:
                console.print(Text(f"\n{cell.gpu.name}, {cell.precision}", style="bold"))
                lines = explained_lines(explain_capacity(cell.result))
                console.print(Text("\n".join(lines)), soft_wrap=True)


def _heading(matrix: CapacityMatrix) -> Text:
    load = matrix.load
    text = Text()
    text.append(clean(matrix.model.name), style="bold")
    text.append(f"  {parameters(matrix.model.parameters)} parameters; ")
    text.append(counted(load.requests, "request", grouped=True))
    text.append(f" in flight, {load.prompt_tokens:,} prompt and {load.output_tokens:,} output")
    text.append(" tokens each; every figure is an estimate")
    return text


def _table() -> Table:
    # Titles are printed before: a table would wrap them to its own width.
    return Table(box=SIMPLE_HEAD, pad_edge=False)


def _title(text: str) -> Text:
    return Text(f"\n{text}", style="bold")


def _overview(matrix: CapacityMatrix) -> Iterable[RenderableType]:
    yield _title("GPUs × output tokens/s, and $ per million output tokens")
    yield _matrix(matrix)


def _matrix(matrix: CapacityMatrix) -> Table:
    """GPU types by precisions: GPUs and output tokens per second, the price of a million below."""
    table = _table()
    table.add_column("GPU", no_wrap=True)
    for storage in matrix.storages:
        table.add_column(storage.precision, justify="right", no_wrap=True)
    cheapest = _cheapest(matrix.cells)
    for gpu in matrix.gpus:
        cells = (_short(cell, cell is cheapest) for cell in matrix.row(gpu))
        table.add_row(clean(gpu.name), *cells)
    return table


def _cheapest(cells: Sequence[Cell]) -> Cell | None:
    """The cell whose tokens cost least, of those that hold the load."""
    priced = [
        (cell.result.usd_per_million_output, index)
        for index, cell in enumerate(cells)
        if cell.result is not None
        and cell.result.holds_load
        and cell.result.usd_per_million_output is not None
    ]
    return cells[min(priced)[1]] if priced else None


def _short(cell: Cell, best: bool) -> Text:
    result = cell.result
    if result is None:
        return Text(MISSING)
    mark = "" if result.holds_load else "!"
    cost = dollars(result.usd_per_million_output)
    text = f"{result.server.gpus} × {count(result.tokens_s)}{mark}\n{cost}"
    return Text(text, style="bold green" if best else "")


def _details(matrix: CapacityMatrix) -> Iterable[RenderableType]:
    results = [cell.result for cell in matrix.cells if cell.result is not None]
    if results:
        yield _title(f"On {clean(results[0].server.gpu.name)}, GiB per GPU")
        yield _capacities(results)
        yield _title("Decoding alone, tokens/s by batch: calibrated of roofline")
        yield _decoding(results)


def _capacities(results: Sequence[Capacity]) -> Table:
    table = _table()
    table.add_column("precision")
    for name in (
        "GPUs",
        "weights",
        "work-\nspace",
        "KV of a\nrequest",
        "usable",
        "largest\nbatch",
        "TTFT\nms",
        "TPOT\nms",
        "output\ntokens/s",
        "$ per M\noutput",
        "$ per M\nin all",
    ):
        table.add_column(name, justify="right", no_wrap=True)
    for result in results:
        memory = result.memory
        sizes = (memory.weights, memory.workspace, memory.sequence, memory.usable)
        table.add_row(
            result.server.storage.precision,
            f"{result.server.gpus}",
            *(f"{size / GIB:,.2f}" for size in sizes),
            f"{memory.largest_batch:,}" + ("" if result.holds_load else "!"),
            f"{result.ttft_s * 1e3:,.1f}",
            MISSING if result.tpot_s is None else f"{result.tpot_s * 1e3:,.1f}",
            count(result.tokens_s),
            dollars(result.usd_per_million_output),
            dollars(result.usd_per_million_total),
        )
    return table


def _decoding(results: Sequence[Capacity]) -> Table:
    """Decode speed at each batch: calibrated of roofline; `--` where the memory ends before."""
    table = _table()
    table.add_column("batch", justify="right")
    for result in results:
        table.add_column(result.server.storage.precision, justify="right", no_wrap=True)
    columns = [speeds(result) for result in results]
    for index, batch in enumerate(BATCHES):
        row = (column[index] for column in columns)
        cells = (
            f"{at.tokens_s:,.0f} of {at.roofline_tokens_s:,.0f}" if at.fits else MISSING
            for at in row
        )
        table.add_row(f"{batch}", *cells)
    return table


def _reasons(matrix: CapacityMatrix) -> Iterable[str]:
    if any(cell.result is not None and not cell.result.holds_load for cell in matrix.cells):
        yield "!: not all requests in flight fit at a time; the others wait"
    named: dict[str, list[str]] = {}
    for cell in matrix.cells:
        if cell.reason is not None:
            named.setdefault(f"{cell.gpu.name}: {cell.reason}", []).append(cell.precision)
    for words, precisions in named.items():
        yield f"{', '.join(precisions)} on {words}"


def _prices(matrix: CapacityMatrix) -> Iterable[str]:
    """Each price with its day and source, equal ones together."""
    named: dict[str, list[str]] = {}
    for gpu in matrix.gpus:
        price = matrix.prices.get(gpu.key)
        if price is not None:
            words = f"${price.usd_per_hour:,.2f} an hour ({price.source}, {price.date.isoformat()})"
            named.setdefault(words, []).append(gpu.name)
    for words, gpus in named.items():
        yield f"{', '.join(gpus)}: {words}"
    missing = [gpu.name for gpu in matrix.gpus if gpu.key not in matrix.prices]
    if missing:
        yield f"no price known for {', '.join(missing)}: set one under [prices] in config.toml"


def _origin(matrix: CapacityMatrix) -> str:
    mine = [gpu for gpu in matrix.gpus if gpu.key in matrix.saved.calibrations]
    if not mine:
        return f"constants: {matrix.saved.origin('')}"
    return "; ".join(f"{gpu.name}: {matrix.saved.origin(gpu.key)}" for gpu in mine)


def count(value: float | None) -> str:
    """A rate in whole numbers, more exact where it is small."""
    if value is None:
        return MISSING
    return f"{value:,.0f}" if value >= 10 else f"{value:,.2f}"


def dollars(value: float | None) -> str:
    """An amount in dollars, or nothing known."""
    return MISSING if value is None else f"${value:,.2f}"
