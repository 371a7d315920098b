"""Targets and the budget, watched beside an engine by the prices that the panels of cost show."""

from ...engine.client.local_engine import EngineClient
from ...engine.client.target_engine import TargetEngine
from ...engine.cost.budget_alerts import BudgetAlerts
from ...engine.protocol import Frame
from ...engine.targets.settings import QUIET
from ..settings.config import Config
from .billing import Billing


def watched(
    engine: EngineClient, config: Config, billing: Billing
) -> tuple[TargetEngine, BudgetAlerts]:
    """The engine with its targets watched, quietly where the config asks for none; and its budget,
    whose `check` may be replaced where prices change."""

    def usd_per_hour(frame: Frame) -> float | None:
        return billing.rates_of(frame).usd_per_hour

    budget = BudgetAlerts(billing.budget)
    return TargetEngine(engine, config.targets or QUIET, usd_per_hour, budget=budget), budget
