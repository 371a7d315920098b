"""`[cost]` and `[capacity]` of the configuration."""

from typing import Annotated

import msgspec

Usd = Annotated[float, msgspec.Meta(gt=0, le=1e6)]
"""A price that sums can still be made of."""
Amount = Annotated[float, msgspec.Meta(gt=0, le=1e9)]


class CostSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Prices in US dollars; `None`: not known, and its part of the cost neither.

    `usd_per_hour` is for one GPU, or for the machine where the engine is on a CPU.
    """

    usd_per_hour: Usd | None = None
    usd_per_kwh: Usd | None = None
    storage_usd_per_gib_month: Usd | None = None
    storage_gib: Amount | None = None
    """What is stored: checkpoints, logs, recordings."""
    bandwidth_usd_per_gib: Usd | None = None
    answer_bytes_per_token: Amount | None = None
    """What of an answer goes over the network for each of its tokens, framing included."""
    spot_usd_per_hour: Usd | None = None
    interruptions_per_hour: Annotated[float, msgspec.Meta(ge=0, le=3600)] | None = None
    """Of a spot instance."""
    restart_s: Annotated[float, msgspec.Meta(ge=0, le=1e6)] | None = None
    """Without serving after an interruption; else how long the engine last took to start."""
    budget_usd_per_hour: Usd | None = None
    budget_usd_per_day: Usd | None = None


class CapacitySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[capacity]`: the load that GPUs are counted for."""

    requests_per_s: Amount | None = None


NO_COST_SETTINGS = CostSettings()
