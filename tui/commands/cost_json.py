"""`prodtop cost --json`: one object with every figure, `null` where it is not known."""

import msgspec

from ...engine.compare.median import Median
from ...engine.cost.budget import BudgetAlert
from ...engine.cost.capacity import Capacity
from ...engine.cost.cells import CellCost
from ...engine.cost.rates import Rates
from ...engine.cost.spend import Spend
from ...engine.cost.what_ifs import WhatIf

SCHEMA_VERSION = 1


def price_json(rates: Rates) -> dict[str, object]:
    """Where the price is from; `listed`: a provider's list price, which nobody here has set."""
    return {
        "usd_per_hour": rates.usd_per_hour,
        "source": rates.source or None,
        "listed": rates.listed,
        **{f"set_{name}": value for name, value in msgspec.structs.asdict(rates.settings).items()},
    }


def spend_json(spend: Spend) -> dict[str, object]:
    """A span: what was used, and what it cost."""
    tokens, split = spend.tokens, spend.split
    return {
        "usage": msgspec.to_builtins(spend.usage),
        "total_usd": spend.total_usd,
        "device_usd": spend.device_usd,
        "energy_usd": spend.energy_usd,
        "storage_usd": spend.storage_usd,
        "bandwidth_usd": spend.bandwidth_usd,
        "usd_per_hour": spend.per_hour_usd,
        "usd_per_request": spend.per_request_usd,
        "usd_per_million_input": tokens.input,
        "usd_per_million_output": tokens.output,
        "usd_per_million_cached": tokens.cached,
        "spared_usd": tokens.spared_usd,
        "energy_j": spend.usage.energy_j,
        "joules_per_request": spend.joules_per_request,
        "joules_per_output_token": spend.joules_per_output_token,
        "idle_share": split.idle,
        "busy_share": split.busy,
        "compute_share": split.compute,
        "memory_share": split.memory,
    }


def cell_json(cost: CellCost, *, with_load: bool) -> dict[str, object]:
    """A cell: medians over its repeats with their intervals. A bench does not tell its load."""
    cell = cost.cell
    return {
        "cell": cost.label,
        "strategy": cell.strategy,
        "precision": cell.precision,
        "load": msgspec.to_builtins(cell.load) if with_load else None,
        "max_seqs": cell.max_seqs,
        "drafts": cell.drafts,
        "usd_per_request": _median(cost.per_request),
        "usd_per_million_generated": _median(cost.generated),
        "usd_per_million_input": _median(cost.input),
        "usd_per_million_output": _median(cost.output),
        "usd_per_million_cached": _median(cost.cached),
        "joules_per_request": _median(cost.joules_per_request),
        "skipped": cost.skipped,
        "failure": cost.failure,
    }


def what_if_json(what_if: WhatIf) -> dict[str, object]:
    """An alternative with its assumption."""
    return {
        "name": what_if.name,
        "usd_per_request": what_if.per_request_usd,
        "ratio": what_if.ratio,
        "assumption": what_if.assumption,
        "missing": what_if.missing,
    }


def capacity_json(label: str, capacity: Capacity) -> dict[str, object]:
    """Both estimates for one GPU, and how many the target needs."""
    curve, little = capacity.by_curve, capacity.by_little
    return {
        "cell": label,
        "target_req_s": capacity.target_req_s,
        "curve_req_s": None if curve is None else curve.req_s,
        "curve_load": None if curve is None else curve.load,
        "curve_is_at_least": None if curve is None else curve.at_least,
        "curve_reason": None if curve is None else curve.reason,
        "curve_gpus": capacity.gpus_by_curve,
        "little_req_s": None if little is None else little.req_s,
        "little_slots": None if little is None else little.slots,
        "little_residence_s": None if little is None else little.residence_s,
        "little_gpus": capacity.gpus_by_little,
        "little_over_curve": capacity.ratio,
        "disagreement": capacity.disagreement,
    }


def budget_json(alert: BudgetAlert | None) -> dict[str, object] | None:
    """The budget's alert; `null` without one."""
    if alert is None:
        return None
    return {
        "projected_usd_per_hour": alert.projected_usd_per_hour,
        "budget_usd_per_hour": alert.budget_usd_per_hour,
        "over": alert.over,
    }


def _median(found: Median | None) -> dict[str, object] | None:
    return None if found is None else msgspec.structs.asdict(found)
