"""The budget's alerts: one where it begins, one where it ends, and through the targets' channel."""

import sys
from pathlib import Path

from frame_samples import frame
from prodtop.engine.client.target_engine import TargetEngine
from prodtop.engine.cost.budget import BudgetAlert, check_budget
from prodtop.engine.cost.budget_alerts import BudgetAlerts, is_of_budget
from prodtop.engine.cost.settings import CostSettings
from prodtop.engine.protocol import Command, Frame, Report, TargetAlert
from prodtop.engine.targets.settings import QUIET, TargetSettings

BUDGET = CostSettings(budget_usd_per_hour=4.0)


class Spending:
    """A check of spends that a test says."""

    def __init__(self, settings: CostSettings = BUDGET) -> None:
        self.per_hour: float | None = 3.0
        self.settings = settings

    def __call__(self, frame: Frame | None, *, was_over: bool) -> BudgetAlert | None:
        return check_budget(self.per_hour, self.settings, was_over=was_over)


def test_an_alert_is_told_once_where_it_begins_and_once_where_it_ends() -> None:
    spending = Spending()
    alerts = BudgetAlerts(spending)
    told: list[tuple[int, bool, str]] = []
    for second, per_hour in enumerate([3.0, 5.0, 5.0, 3.9, 3.85, 3.0, 3.9, 4.5]):
        spending.per_hour = per_hour
        told += [(second, each.active, each.text) for each in alerts.look(float(second))]
    assert told == [
        (1, True, "over budget: $5.00/h of a budget of $4.00/h"),
        (5, False, "within the budget again: $3.00/h of a budget of $4.00/h"),
        (7, True, "over budget: $4.50/h of a budget of $4.00/h"),
    ]


def test_a_budget_that_is_taken_away_ends_its_alert() -> None:
    spending = Spending()
    alerts = BudgetAlerts(spending)
    spending.per_hour = 5.0
    (began,) = alerts.look(10.0)
    alerts.check = Spending(CostSettings())
    (ended,) = alerts.look(20.0)
    assert is_of_budget(began)
    assert is_of_budget(ended)
    assert (ended.active, ended.began_wall_s, ended.wall_s) == (False, 10.0, 20.0)
    assert ended.text == "no budget any more"
    assert alerts.look(30.0) == []


class OneFrame:
    """An engine that tells one frame at each poll."""

    def __init__(self) -> None:
        self.sent: list[Command] = []

    def poll(self) -> list[Report]:
        return [frame()]

    def send(self, command: Command) -> None:
        self.sent.append(command)

    def close(self) -> None:
        pass


def test_it_goes_the_way_of_the_targets_alerts(tmp_path: Path) -> None:
    """Told beside the engine's reports, and handed to the command of `on_alert`."""
    kept = tmp_path / "alert.json"
    code = "import sys; open(sys.argv[1], 'w').write(sys.stdin.read())"
    settings = TargetSettings(alerts=(), on_alert=(sys.executable, "-c", code, str(kept)))
    spending, now_s = Spending(), [0.0]
    engine = TargetEngine(
        OneFrame(), settings, budget=BudgetAlerts(spending), clock=lambda: now_s[0]
    )
    assert not [each for each in engine.poll() if isinstance(each, TargetAlert)]
    spending.per_hour, now_s[0] = 5.0, 10.0
    (alert,) = [each for each in engine.poll() if isinstance(each, TargetAlert)]
    engine.close()
    assert alert.active
    assert (alert.value, alert.limit) == (5.0, 4.0)
    assert "over budget: $5.00/h" in kept.read_text()


def test_without_a_budget_nothing_is_told() -> None:
    engine = TargetEngine(OneFrame(), QUIET, budget=BudgetAlerts(Spending(CostSettings())))
    assert not [each for each in engine.poll() if isinstance(each, TargetAlert)]
