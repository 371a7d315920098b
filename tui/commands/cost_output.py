"""What `prodtop cost` prints: spans, cells, what-ifs and capacity as tables of text."""

from collections.abc import Mapping, Sequence

from ...engine.compare.median import Median
from ...engine.compare.wording import Unit, figure
from ...engine.cost.budget import BudgetAlert
from ...engine.cost.capacity import Capacity
from ...engine.cost.cells import CellCost
from ...engine.cost.rates import Rates
from ...engine.cost.spend import Spend
from ...engine.cost.what_ifs import WhatIf
from ..style.formatting import MISSING, dollars, duration, joules, percent
from .text_table import aligned

NO_PRICE = "no price of this device: --price-per-hour, or usd_per_hour in [cost], sets one"


def price_line(rates: Rates) -> str:
    """`$4.59/h (list price: RunPod …)`, or how to set one."""
    if rates.usd_per_hour is None:
        return NO_PRICE
    return f"{dollars(rates.usd_per_hour)}/h ({rates.source})"


def span_lines(spans: Mapping[str, Spend]) -> list[str]:
    """A column for each span, a row for each figure."""
    columns = [_span_column(spend) for spend in spans.values()]
    rows = [[name, *(column[name] for column in columns)] for name in columns[0]]
    return aligned([["over", *spans], *rows])


def _span_column(spend: Spend) -> dict[str, str]:
    usage, tokens, split = spend.usage, spend.tokens, spend.split
    return {
        "measured": duration(usage.span_s),
        "requests": f"{usage.requests:,}",
        "cost": dollars(spend.total_usd),
        "  device": dollars(spend.device_usd),
        "  energy": dollars(spend.energy_usd),
        "  storage": dollars(spend.storage_usd),
        "  bandwidth": dollars(spend.bandwidth_usd),
        "per hour": dollars(spend.per_hour_usd),
        "per request": dollars(spend.per_request_usd),
        "per 1M tokens in": dollars(tokens.input),
        "per 1M tokens out": dollars(tokens.output),
        "per 1M tokens cached": dollars(tokens.cached),
        "spared by caches": dollars(tokens.spared_usd),
        "energy in all": joules(usage.energy_j),
        "J per request": joules(spend.joules_per_request),
        "J per token out": joules(spend.joules_per_output_token),
        "compute": percent(split.compute),
        "memory": percent(split.memory),
        "idle": percent(split.idle),
    }


def cell_lines(costs: Sequence[CellCost]) -> list[str]:
    """A row for each cell."""
    heads = ["cell", "$/request", "$/1M generated", "$/1M in", "$/1M out", "$/1M cached"]
    rows = [[*heads, "J/request", ""]]
    for cost in costs:
        figures = (cost.per_request, cost.generated, cost.input, cost.output, cost.cached)
        per_request = cost.joules_per_request
        rows.append(
            [
                cost.label,
                *(dollars(_value(each)) for each in figures),
                joules(_value(per_request)),
                _note(cost),
            ]
        )
    return aligned(rows, last_left=True)


def _note(cost: CellCost) -> str:
    if cost.skipped or cost.failure:
        return cost.skipped or cost.failure or ""
    return "" if cost.per_request is not None or cost.generated is not None else "not measured"


def what_if_lines(found: Sequence[WhatIf]) -> list[str]:
    """Each with its change and its assumption, or what it lacks."""
    rows = []
    for each in found:
        change = MISSING if each.ratio is None else f"×{each.ratio:.3g}"
        cost = dollars(each.per_request_usd)
        words = each.assumption if each.missing is None else f"{each.missing}; {each.assumption}"
        rows.append([each.name, change, cost, words])
    return aligned(rows, last_left=True) if rows else []


def capacity_lines(label: str, capacity: Capacity) -> list[str]:
    """Requests a second of one GPU by both ways, and GPUs for the target."""
    curve, little = capacity.by_curve, capacity.by_little
    lines = [f"{label}:"] if label else []
    if curve is None:
        lines.append("  by the curve   --  (no load curve within the limits was measured)")
    else:
        least = "at least " if curve.at_least else ""
        req_s = figure(curve.req_s, Unit.REQUESTS_PER_S)
        lines.append(f"  by the curve   {least}{req_s} at {curve.load}: {curve.reason}")
    if little is None:
        lines.append("  Little's law   --  (no request was measured)")
    else:
        req_s = figure(little.req_s, Unit.REQUESTS_PER_S)
        at_once = f"{little.slots} at once, each {figure(little.residence_s, Unit.S)}"
        lines.append(f"  Little's law   {req_s} = {at_once}: an upper bound")
    if capacity.target_req_s is not None:
        by = [capacity.gpus_by_curve, capacity.gpus_by_little]
        words = [MISSING if each is None else f"{each:,}" for each in by]
        target = figure(capacity.target_req_s, Unit.REQUESTS_PER_S)
        lines.append(f"  GPUs for {target}: {words[0]} by the curve, {words[1]} by Little's law")
    if capacity.disagreement is not None:
        lines.append(f"  {capacity.disagreement}")
    return lines


def budget_lines(alert: BudgetAlert | None) -> list[str]:
    """Whether the budget holds; nothing without one."""
    if alert is None:
        return []
    return [f"{'OVER BUDGET' if alert.over else 'within the budget'}: {alert.text}"]


def _value(found: Median | None) -> float | None:
    return None if found is None else found.value
