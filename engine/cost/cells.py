"""What the cells of a comparison cost: each repeat is a run of its own, rent by its duration."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from ..compare.cells import Cell, Comparison, Measured, label
from ..compare.median import Median, median
from ..protocol import CellResult, LoadSpec, Usage
from .rates import Rates
from .spend import MILLION, Spend, per, spend


@dataclass(frozen=True, slots=True, kw_only=True)
class CellCost:
    """Medians over the repeats of a cell, in US dollars; `None` for what was not measured.

    `generated` has the whole cost on a million tokens that were answered; `input`, `output` and
    `cached` are divided as `token_prices` does, which results of an older prodtop do not tell.
    """

    cell: Cell
    label: str
    per_request: Median | None
    generated: Median | None
    input: Median | None
    output: Median | None
    cached: Median | None
    joules_per_request: Median | None
    skipped: str | None = None
    failure: str | None = None


def usage_of(result: CellResult) -> Usage:
    """What a repeat used; of a result that does not tell it, all but the split of its time."""
    if result.usage is not None:
        return result.usage
    tokens = answered_tokens(result)
    return Usage(
        span_s=result.duration_s,
        requests=result.requests - result.failed - result.rejected,
        prefill_tokens=0,
        decode_tokens=round(tokens) if math.isfinite(tokens) else 0,
        cached_prompt_tokens=0,
        cached_output_tokens=0,
        device_s=0.0,
        prefill_device_s=0.0,
        mbu=result.mbu,
        mfu=result.mfu,
        energy_j=result.energy_j,
    )


def answered_tokens(result: CellResult) -> float:
    """The output tokens of requests that finished, computed or cached; a file may state any."""
    return result.output_tok_s * result.duration_s


def cost_of_result(result: CellResult, rates: Rates) -> Spend:
    """What one repeat cost: price × its duration, and what else is priced."""
    return spend(usage_of(result), rates)


def cell_costs(comparison: Comparison, rates: Rates) -> list[CellCost]:
    """Every cell in the order of the comparison, those without a result too."""
    cells = [each.cell for each in comparison.cells]
    return [_cell_cost(each, cells, rates) for each in comparison.cells]


def cost_at(measured: Measured | None, rates: Rates) -> float | None:
    """The median cost of a request of one cell, in US dollars."""
    if measured is None:
        return None
    found = _cell_cost(measured, [], rates).per_request
    return None if found is None else found.value


def same_load(cell: LoadSpec, live: LoadSpec) -> bool:
    """Whether a cell was measured under the load that is served: its arrivals, lengths and
    sampling. Cells generate every token that is asked for (`ignore_eos`), and were not paused."""
    return msgspec.structs.replace(cell, ignore_eos=live.ignore_eos, paused=live.paused) == live


def _cell_cost(measured: Measured, among: Sequence[Cell], rates: Rates) -> CellCost:
    runs = [(result, cost_of_result(result, rates)) for result in measured.repeats]

    def of(read: Callable[[CellResult, Spend], float | None]) -> Median | None:
        values = (read(result, cost) for result, cost in runs)
        return median([value for value in values if value is not None])

    return CellCost(
        cell=measured.cell,
        label=label(measured.cell, among),
        per_request=of(lambda _, cost: cost.per_request_usd),
        generated=of(lambda result, cost: per(cost.total_usd, answered_tokens(result), MILLION)),
        input=of(lambda _, cost: cost.tokens.input),
        output=of(lambda _, cost: cost.tokens.output),
        cached=of(lambda _, cost: cost.tokens.cached),
        joules_per_request=of(lambda _, cost: cost.joules_per_request),
        skipped=measured.skipped,
        failure=measured.failure,
    )
