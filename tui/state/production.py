"""Targets and alerts as the screen knows them: what the Production tab and the lights draw from.

What another panel of that tab needs is kept beside this, in a file and a field of `Moment` of its
own.
"""

from dataclasses import dataclass, replace

from ...engine.protocol import Event, TargetAlert, TargetsSample

MOST_ALERTS = 200
FLASH_S = 6.0
"""How long the lights flash when an alert begins."""


@dataclass(frozen=True, slots=True)
class Production:
    """The newest figures, and the alerts of this session, the newest first.

    `alerted_at_s`: when the last alert began, on the screen's monotonic clock; `begun` counts them.
    """

    sample: TargetsSample | None = None
    sample_at_s: float | None = None
    alerts: tuple[TargetAlert, ...] = ()
    alerted_at_s: float | None = None
    begun: int = 0

    @property
    def in_force(self) -> tuple[TargetAlert, ...]:
        """The alerts that have not ended."""
        return tuple(alert for alert in self.alerts if alert.active)

    def flashes(self, now_s: float) -> bool:
        """Whether an alert has just begun."""
        return self.alerted_at_s is not None and 0 <= now_s - self.alerted_at_s < FLASH_S


NO_PRODUCTION = Production()


def after_event(production: Production, event: Event, now_s: float) -> Production:
    """What is known once `event` has come in. An alert that ends takes its beginning's place."""
    match event:
        case TargetsSample():
            return replace(production, sample=event, sample_at_s=now_s)
        case TargetAlert(active=True):
            return replace(
                production,
                alerts=(event, *_without(production.alerts, event))[:MOST_ALERTS],
                alerted_at_s=now_s,
                begun=production.begun + 1,
            )
        case TargetAlert():
            alerts = (event, *_without(production.alerts, event))
            return replace(production, alerts=alerts[:MOST_ALERTS])
        case _:
            return production


def _without(alerts: tuple[TargetAlert, ...], other: TargetAlert) -> list[TargetAlert]:
    """The alerts but the one in force that `other` goes on from, or ends."""
    key = (other.target, other.severity)
    return [each for each in alerts if not (each.active and (each.target, each.severity) == key)]


class ProductionBook:
    """Keeps what is known (`now`)."""

    def __init__(self) -> None:
        self.now = Production()

    def take(self, event: Event, now_s: float) -> None:
        """Take an event in."""
        self.now = after_event(self.now, event, now_s)
