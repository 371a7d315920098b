"""What production is held to: `[targets]` of the config, every field optional."""

from typing import Annotated, Literal

import msgspec

from ..protocol import TargetName, Window

Positive = Annotated[float, msgspec.Meta(gt=0, le=1e9)]
Share = Annotated[float, msgspec.Meta(gt=0, lt=1)]
Mode = Literal["real-time", "batch"]

E2E_MS: dict[Mode, float] = {"real-time": 100.0, "batch": 1000.0}
"""The limit on the p95 of E2E by mode, unless one is given."""


class TargetSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Limits and alerting. Shares are fractions of 1. Defined in docs/production.md."""

    mode: Mode = "real-time"
    e2e_p95_ms: Positive | None = None
    """`None`: that of the mode."""
    requests_per_s: Positive = 100.0
    gpu_utilization: Share = 0.80
    memory_efficiency: Share = 0.70
    availability: Share = 0.999
    safety_violations: Share = 0.001
    usd_per_request: Positive = 0.01
    satisfied: Share = 0.95
    variation: Share = 0.05

    window: Literal["10s", "1m", "5m"] = "5m"
    """What figures are over."""
    time_scale: Annotated[float, msgspec.Meta(ge=1, le=1000)] = 12.0
    """By how much the windows of burn rates are shorter than the SRE workbook's: 1 is its own."""
    least_requests: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 50
    """An alert stands on at least so many."""
    alerts: tuple[TargetName, ...] = (
        TargetName.E2E,
        TargetName.AVAILABILITY,
        TargetName.SAFETY,
        TargetName.COST,
        TargetName.QUALITY,
    )
    """The targets that alert. The others miss theirs where little load comes."""
    bell: bool = True
    on_alert: tuple[str, ...] = ()
    """A program and its arguments: run without a shell for every alert that begins or ends."""
    on_alert_timeout_s: Annotated[float, msgspec.Meta(gt=0, le=600)] = 10.0
    on_alert_per_minute: Annotated[int, msgspec.Meta(ge=1, le=600)] = 10

    @property
    def span(self) -> Window:
        """The window as frames name it."""
        return Window(self.window)

    def limit(self, name: TargetName) -> float:
        """The limit on a target, in the unit of its figure."""
        return {
            TargetName.E2E: self.e2e_p95_ms or E2E_MS[self.mode],
            TargetName.REQUESTS: self.requests_per_s,
            TargetName.GPU: self.gpu_utilization,
            TargetName.MEMORY: self.memory_efficiency,
            TargetName.AVAILABILITY: self.availability,
            TargetName.SAFETY: self.safety_violations,
            TargetName.COST: self.usd_per_request,
            TargetName.QUALITY: self.satisfied,
            TargetName.CONSISTENCY: self.variation,
        }[name]


QUIET = TargetSettings(alerts=())
"""What holds without `[targets]`: the defaults are measured, and nobody is alerted by limits that
nobody has set."""

AT_LEAST = frozenset(
    {
        TargetName.REQUESTS,
        TargetName.GPU,
        TargetName.MEMORY,
        TargetName.AVAILABILITY,
        TargetName.QUALITY,
    }
)
"""The targets whose figure is to be above the limit; of the others it is to be below."""


def is_met(name: TargetName, value: float, limit: float) -> bool:
    """Whether a figure keeps its limit. Exactly on it is not beyond it."""
    return value > limit if name in AT_LEAST else value < limit
