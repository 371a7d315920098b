"""`[readiness]` of the configuration: how old a proof may be, the limits, the size of drills."""

from typing import Annotated

import msgspec

from ..protocol.slo import SloSpec

Days = Annotated[float, msgspec.Meta(gt=0, le=3650)]
Seconds = Annotated[float, msgspec.Meta(gt=0, le=86_400)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]

DAY_S = 86_400.0


class ReadinessSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All of it. `load_*` and `quality_chunks` size the drills, the others are limits."""

    max_age_days: Days = 7.0
    most_perplexity_ratio: Annotated[float, msgspec.Meta(ge=1, le=100)] = 1.05
    """Of the precision served over the reference: of the upper end of the 95 % interval."""
    most_failed_share: Share = 0.001
    """Of the requests of the load test: 99.9 % availability."""
    most_recovery_s: Seconds = 120.0
    """From a worker's death to the end of the first good answer after it."""
    load_clients: Annotated[int, msgspec.Meta(ge=2, le=256)] = 8
    """That ask at the same time, each one request after the other."""
    load_requests: Annotated[int, msgspec.Meta(ge=2, le=100_000)] = 64
    load_output_tokens: Annotated[int, msgspec.Meta(ge=2, le=4096)] = 32
    quality_chunks: Annotated[int, msgspec.Meta(ge=2, le=100_000)] | None = None
    """Of 512 tokens; `None` scores the whole text that ships."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What figures are judged by: the settings, and the limits on latencies."""

    settings: ReadinessSettings = ReadinessSettings()
    slo: SloSpec = SloSpec()
    least_requests_per_s: float | None = None
    """Of the load test; `None`: any."""

    @property
    def max_age_s(self) -> float:
        """How old a proof may be."""
        return self.settings.max_age_days * DAY_S
