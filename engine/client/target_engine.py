"""An engine whose targets are watched as its reports pass: adds how they stand, and alerts."""

import time
from collections.abc import Callable

from ..cost.budget_alerts import BudgetAlerts
from ..protocol import (
    Command,
    Frame,
    Note,
    Report,
    TargetAlert,
    TargetFigure,
    TargetsSample,
)
from ..targets.settings import TargetSettings
from ..targets.watch import Price, TargetWatch
from .alert_command import AlertCommand
from .local_engine import EngineClient

LOOK_INTERVAL_S = 1.0
"""Between two looks at the targets: burn rates are judged at each."""
SAMPLE_INTERVAL_S = 2.0
"""Between two samples that are passed on, unless an alert begins or ends."""


class TargetEngine:
    """Passes on what an engine reports, and tells beside it how its targets stand.

    It stands between engine and recording, so that a recording has the alerts of its time. `clock`
    is monotonic, `wall` Unix time.
    """

    def __init__(
        self,
        engine: EngineClient,
        settings: TargetSettings,
        price: Price = lambda _: None,
        *,
        budget: BudgetAlerts | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.settings = settings
        self._engine = engine
        self._watch = TargetWatch(settings, price)
        self._budget = budget
        self._command = AlertCommand.of(settings, clock)
        self._clock, self._wall = clock, wall
        self._looked_s = self._told_s = float("-inf")
        self._told: list[TargetFigure] = []

    def poll(self) -> list[Report]:
        """What was reported since the last call, then how the targets stand."""
        reports = self._engine.poll()
        now_s = self._clock()
        for report in reports:
            self._watch.take(report, now_s)
            if self._budget is not None and isinstance(report, Frame):
                self._budget.take(report)
        return [*reports, *self._look(now_s), *self._troubles()]

    def _look(self, now_s: float) -> list[TargetsSample | TargetAlert]:
        if 0 <= now_s - self._looked_s < LOOK_INTERVAL_S:
            return []
        self._looked_s = now_s
        sample, alerts = self._watch.look(now_s, self._wall())
        if self._budget is not None:
            alerts += self._budget.look(self._wall())
        if self._command is not None:
            for alert in alerts:
                self._command.run(alert)
        if not alerts and 0 <= now_s - self._told_s < SAMPLE_INTERVAL_S:
            return []
        if not alerts and sample.targets == self._told:
            return []
        self._told_s, self._told = now_s, sample.targets
        return [sample, *alerts]

    def _troubles(self) -> list[Note]:
        if self._command is None:
            return []
        return [Note(message=trouble) for trouble in self._command.poll()]

    def send(self, command: Command) -> None:
        self._watch.on_command(command)
        self._engine.send(command)

    def close(self) -> None:
        """End the engine, then what runs for alerts."""
        self._engine.close()
        if self._command is not None:
            self._command.close()
