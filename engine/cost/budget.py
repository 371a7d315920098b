"""Whether what is spent, gone on with, exceeds the budget."""

from dataclasses import dataclass

from .settings import CostSettings

CLEARED_BELOW = 0.95
"""An alert ends below this share of the budget, so that a spend around it does not flap."""
DAY_H = 24.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetAlert:
    """The projected spend beside the budget, in US dollars an hour.

    `budget_usd_per_hour` is the tighter of what is set; of a day a 24th of it. `text` says so in
    one line.
    """

    projected_usd_per_hour: float
    budget_usd_per_hour: float
    over: bool
    text: str


def budget_per_hour(settings: CostSettings) -> float | None:
    """The tighter of the two budgets as dollars an hour; `None` where none is set."""
    day = settings.budget_usd_per_day
    given = [settings.budget_usd_per_hour, None if day is None else day / DAY_H]
    return min((each for each in given if each is not None), default=None)


def check_budget(
    projected_usd_per_hour: float | None, settings: CostSettings, *, was_over: bool = False
) -> BudgetAlert | None:
    """The alert's state after `was_over`; `None` without a budget, or a spend to hold against it.

    It begins above the budget and ends below `CLEARED_BELOW` of it. Projected is the rate of the
    window: it assumes that the next hours are like it.
    """
    budget = budget_per_hour(settings)
    if budget is None or projected_usd_per_hour is None:
        return None
    limit = budget * CLEARED_BELOW if was_over else budget
    over = projected_usd_per_hour >= limit if was_over else projected_usd_per_hour > limit
    return BudgetAlert(
        projected_usd_per_hour=projected_usd_per_hour,
        budget_usd_per_hour=budget,
        over=over,
        text=_text(projected_usd_per_hour, settings),
    )


def _text(projected: float, settings: CostSettings) -> str:
    """Against the budget as it was set: `$5.20/h of a budget of $4.00/h`."""
    budget = budget_per_hour(settings)
    if budget is None or budget == settings.budget_usd_per_hour:
        return f"${projected:,.2f}/h of a budget of ${budget or 0.0:,.2f}/h"
    day = settings.budget_usd_per_day or 0.0
    return f"${projected * DAY_H:,.2f}/day of a budget of ${day:,.2f}/day"
