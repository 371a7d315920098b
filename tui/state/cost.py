"""What serving costs now: everything that the cost panels show, worked out from the moment."""

from dataclasses import dataclass

from ...engine.compare.cells import Comparison, Measured
from ...engine.cost.budget import BudgetAlert, budget_per_hour
from ...engine.cost.budget_alerts import is_of_budget
from ...engine.cost.cells import CellCost, cell_costs, same_load
from ...engine.cost.rates import NO_RATES, Rates
from ...engine.cost.spend import Spend
from ...engine.cost.what_ifs import Standing, WhatIf, what_ifs
from ...engine.protocol import Frame, Window, setting_of
from .billing import Billing
from .moment import Moment


@dataclass(frozen=True, slots=True)
class Costing:
    """The cost of the chosen window and of the session, and of what might be.

    `cells` were measured under the load that is served; `other_load`: cells were measured, and
    under another one.
    """

    rates: Rates = NO_RATES
    window: Spend | None = None
    session: Spend | None = None
    cells: tuple[CellCost, ...] = ()
    other_load: bool = False
    what_ifs: tuple[WhatIf, ...] = ()
    budget: BudgetAlert | None = None
    budget_usd_per_hour: float | None = None


def costing(moment: Moment, key: str) -> Costing:
    """What the panels show; `key` is the one that measures cells in Compare."""
    frame, billing = moment.frame, moment.billing
    if frame is None:
        return Costing(budget_usd_per_hour=budget_per_hour(billing.cost))
    return costing_of(
        frame,
        moment.window,
        billing,
        comparison=moment.compare.comparison,
        restart_s=moment.worker.load_s,
        budget=billing.budget(frame, was_over=any(map(is_of_budget, moment.production.in_force))),
        key=key,
    )


def costing_of(
    frame: Frame,
    window: Window,
    billing: Billing,
    *,
    comparison: Comparison | None,
    restart_s: float | None,
    budget: BudgetAlert | None,
    key: str,
) -> Costing:
    """The same from its parts. `restart_s`: how long the engine last took to start."""
    rates, now = billing.rates_of(frame), billing.spend(frame, window)
    cells = cells_under_load(comparison, frame)
    measured = [each for each in cells if each.repeats]
    standing, setting = None, setting_of(frame)
    if now is not None and setting is not None:
        standing = Standing(
            strategy=setting.strategy,
            precision=setting.precision,
            now=now,
            rates=rates,
            cells=measured,
            restart_s=restart_s,
        )
    return Costing(
        rates=rates,
        window=now,
        session=billing.spend(frame, Window.SESSION),
        cells=tuple(_costs(comparison, cells, rates)),
        other_load=comparison is not None and bool(comparison.measured()) and not measured,
        what_ifs=() if standing is None else tuple(what_ifs(standing, key)),
        budget=budget,
        budget_usd_per_hour=budget_per_hour(billing.cost),
    )


def cells_under_load(comparison: Comparison | None, frame: Frame) -> list[Measured]:
    """The cells of a comparison of the model that is served, under its load."""
    if comparison is None or comparison.work.model != frame.model.name:
        return []
    load = frame.load
    return [each for each in comparison.cells if load and same_load(each.cell.load, load)]


def _costs(comparison: Comparison | None, cells: list[Measured], rates: Rates) -> list[CellCost]:
    if comparison is None:
        return []
    return cell_costs(Comparison(work=comparison.work, cells=cells), rates)
