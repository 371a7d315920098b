"""Targets, alerts and guards as the Production tab may have to show them."""

from functools import cache

from frames import EPOCH_S, frame, host
from prodtop.engine.protocol import (
    ChildStarted,
    FalsePositives,
    GuardSample,
    Report,
    ReviewSample,
    ServerListening,
    ServerSample,
    Severity,
    TargetAlert,
    TargetName,
    TargetsSample,
)
from prodtop.engine.server.guards.bias import BiasReport, GapInterval
from prodtop.engine.server.guards.bias_file import KeptBias
from prodtop.engine.targets.settings import TargetSettings
from prodtop.engine.targets.watch import TargetWatch

LISTENING = ServerListening(url="http://127.0.0.1:8000", port=8000)


def guard(texts: int, found: int, wrongly: int = 1, benign: int = 348) -> GuardSample:
    return GuardSample(
        texts=texts,
        flagged=found // 2,
        redacted=found,
        blocked=found // 3,
        failures=found // 9,
        added_p50_ms=0.31,
        added_p99_ms=0.87,
        false_positives=FalsePositives(found=wrongly, texts=benign),
    )


def kept_bias(model: str, measured_at_wall_s: float) -> KeptBias:
    """An indicator as `prodtop guards bias` keeps it."""
    excess = GapInterval(n=48, mean=0.127, low=0.047, high=0.211)
    return KeptBias(
        measured_at_wall_s=measured_at_wall_s,
        report=BiasReport(model=model, probes=excess, controls=excess, excess=excess, widest=[]),
    )


def server_sample(second: int) -> ServerSample:
    """A server that has turned away every 300th request, with guards and a review queue."""
    return ServerSample(
        at_s=float(second),
        open_requests=4,
        streams=4,
        answered={"2xx": 38 * second, "5xx": second // 8},
        served=38 * second,
        unavailable=second // 8,
        guards={
            "all": guard(40 * second, second // 12, wrongly=3),
            "content": guard(40 * second, second // 30),
            "pii": guard(40 * second, second // 14),
            "injection": guard(20 * second, 1, benign=297),
        },
        review=ReviewSample(undecided=3, held=1, accepted=41, rejected=1, timed_out=2),
    )


@cache
def targets_of_minutes(minutes: int = 4) -> tuple[TargetsSample, tuple[TargetAlert, ...]]:
    """How targets stand after so long, and every alert on the way there."""
    watch = TargetWatch(TargetSettings(), lambda _: 4.5)
    watch.take(LISTENING, 0.0)
    alerts: list[TargetAlert] = []
    for second in range(60 * minutes):
        watch.take(frame(float(second)), float(second))
        watch.take(host(float(second)), float(second))
        watch.take(server_sample(second), float(second))
        sample, changes = watch.look(float(second), EPOCH_S + second)
        alerts += changes
    return sample, tuple(alerts)


ENDED = TargetAlert(
    target=TargetName.QUALITY,
    severity=Severity.TICKET,
    active=False,
    began_wall_s=EPOCH_S - 600,
    wall_s=EPOCH_S - 300,
    text="output quality 96.1 % (target > 95 %): the alert has ended",
    limit=0.95,
    value=0.961,
)


def production_reports() -> list[Report]:
    """What the screen is told with it: the server, its guards, targets and alerts."""
    sample, alerts = targets_of_minutes()
    begun = beginning(ENDED)
    return [
        ChildStarted(child="server", pid=7, attempt=1),
        LISTENING,
        server_sample(239),
        begun,
        ENDED,
        sample,
        *alerts,
    ]


def beginning(alert: TargetAlert) -> TargetAlert:
    """The beginning of an alert that has ended."""
    return TargetAlert(
        target=alert.target,
        severity=alert.severity,
        active=True,
        began_wall_s=alert.began_wall_s,
        wall_s=alert.began_wall_s,
        text=alert.text,
        limit=alert.limit,
    )
