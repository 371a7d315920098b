"""The budget's alert as other alerts are told: once where it begins, and once where it ends."""

from typing import Protocol

from ..protocol import Frame, Severity, TargetAlert, TargetName
from .budget import BudgetAlert


class BudgetCheck(Protocol):
    """How the spend of a frame stands against the budget, after `was_over`; `None` without one."""

    def __call__(self, frame: Frame | None, *, was_over: bool) -> BudgetAlert | None: ...


class BudgetAlerts:
    """Follows the newest frame. `check` may be replaced, where prices or the budget change.

    Its alerts are of the target on cost, which has no other of this severity; their `value` and
    `limit` are US dollars an hour.
    """

    def __init__(self, check: BudgetCheck) -> None:
        self.check = check
        self._frame: Frame | None = None
        self._in_force: TargetAlert | None = None

    def take(self, frame: Frame) -> None:
        """Take in the newest figures."""
        self._frame = frame

    def look(self, wall_s: float) -> list[TargetAlert]:
        """The alert that begins or ends now."""
        before = self._in_force
        found = self.check(self._frame, was_over=before is not None)
        if found is not None and found.over and before is None:
            self._in_force = _alert(found, wall_s)
            return [self._in_force]
        if before is None or (found is not None and found.over):
            return []
        self._in_force = None
        return [_ended(before, found, wall_s)]


def is_of_budget(alert: TargetAlert) -> bool:
    """Whether an alert is the budget's, and not the target's."""
    return alert.target is TargetName.COST and alert.severity is Severity.PAGE


def _alert(found: BudgetAlert, wall_s: float) -> TargetAlert:
    return TargetAlert(
        target=TargetName.COST,
        severity=Severity.PAGE,
        active=True,
        began_wall_s=wall_s,
        wall_s=wall_s,
        text=f"over budget: {found.text}",
        limit=found.budget_usd_per_hour,
        value=found.projected_usd_per_hour,
    )


def _ended(before: TargetAlert, found: BudgetAlert | None, wall_s: float) -> TargetAlert:
    """Within the budget again, or there is none any more."""
    words = "no budget any more" if found is None else f"within the budget again: {found.text}"
    return TargetAlert(
        target=before.target,
        severity=before.severity,
        active=False,
        began_wall_s=before.began_wall_s,
        wall_s=wall_s,
        text=words,
        limit=before.limit if found is None else found.budget_usd_per_hour,
        value=None if found is None else found.projected_usd_per_hour,
    )
