"""What a request would cost otherwise: spot GPUs, another precision, caches, larger batches.

Each says what it assumes. All but spot take the cost to follow the device's time: fewer GPUs, or
more load on the same ones. What only a measurement can tell is taken from measured cells alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ..compare.cells import Measured
from ..protocol import PrecisionName, StrategyName, Usage
from .cells import cost_at
from .rates import Rates
from .spend import HOUR_S, Spend, per

CACHING = frozenset({StrategyName.CACHED, StrategyName.HYBRID})
"""The strategies with both caches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatIf:
    """One alternative. `ratio`: its cost of a request over that of now, `None` where it is not
    known, which `missing` explains. `per_request_usd` is the same in US dollars."""

    name: str
    per_request_usd: float | None
    ratio: float | None
    assumption: str
    missing: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What alternatives are compared with: what is served, its cost, and cells under its load.

    `restart_s`: how long the engine last took to start.
    """

    strategy: StrategyName
    precision: PrecisionName
    now: Spend
    rates: Rates
    cells: Sequence[Measured] = ()
    restart_s: float | None = None

    def cell(self, strategy: StrategyName, precision: PrecisionName) -> Measured | None:
        """A measured cell with the engine's own number of sequences."""
        for each in self.cells:
            place = each.cell.strategy, each.cell.precision
            if place == (strategy, precision) and each.cell.max_seqs is None and each.repeats:
                return each
        return None


def what_ifs(of: Standing, key: str) -> list[WhatIf]:
    """All of them; `key` is the one that measures cells, as the user would press it."""
    return [
        _spot(of),
        _precision(of, key),
        _without_caches(of) if _cached(of.now.usage) else _with_caches(of, key),
        _batch(of),
    ]


def _spot(of: Standing) -> WhatIf:
    settings, rent = of.rates.settings, of.rates.usd_per_hour
    spot, rate = settings.spot_usd_per_hour, settings.interruptions_per_hour
    restart_s = of.restart_s if settings.restart_s is None else settings.restart_s
    if spot is None or rate is None or rent is None or restart_s is None:
        return WhatIf(
            name="spot",
            per_request_usd=None,
            ratio=None,
            assumption="rent at the spot price; time to restart is paid and serves nobody",
            missing=_missing_for_spot(spot, rate, rent),
        )
    served = 1 / (1 + rate * restart_s / HOUR_S)
    device, total = of.now.device_usd, of.now.total_usd
    ratio = None
    if device is not None and total:
        ratio = (total - device + device * spot / rent / served) / total
    return _made(
        of,
        "spot",
        ratio,
        f"${spot:,.2f}/h with {rate:g} interruptions an hour, each of {restart_s:,.0f} s without"
        f" serving: {served * 100:.2f} % of the time serves; requests cut off are not counted",
    )


def _missing_for_spot(spot: float | None, rate: float | None, rent: float | None) -> str:
    if rent is None:
        return "no price of the GPU"
    if spot is None:
        return "cost.spot_usd_per_hour is not set"
    return "cost.interruptions_per_hour is not set" if rate is None else "no time to restart known"


def _precision(of: Standing, key: str) -> WhatIf:
    """The cheapest other precision of the same strategy among the cells."""
    base = cost_at(of.cell(of.strategy, of.precision), of.rates)
    others = {
        name: cost
        for name in PrecisionName
        if name is not of.precision
        and (cost := cost_at(of.cell(of.strategy, name), of.rates)) is not None
    }
    assumption = "as Compare measured both under this load; what it does to quality is in Quality"
    if not base or not others:
        missing = f"not measured: {key} in Compare does"
        return WhatIf(
            name="precision",
            per_request_usd=None,
            ratio=None,
            assumption=assumption,
            missing=missing,
        )
    best = min(others, key=lambda name: others[name])
    return _made(of, f"{best}", others[best] / base, assumption)


def _with_caches(of: Standing, key: str) -> WhatIf:
    """A strategy with caches, where nothing was cached now."""
    base = cost_at(of.cell(of.strategy, of.precision), of.rates)
    cached = cost_at(of.cell(StrategyName.HYBRID, of.precision), of.rates)
    assumption = "hybrid as Compare measured it under this load, from a cold cache"
    if of.strategy in CACHING:
        missing = "no hit in this window: nothing is repeated"
    else:
        missing = f"not measured: {key} in Compare does"
    if of.strategy in CACHING or not base or cached is None:
        return WhatIf(
            name="caching",
            per_request_usd=None,
            ratio=None,
            assumption=assumption,
            missing=missing,
        )
    return _made(of, "caching", cached / base, assumption)


def _without_caches(of: Standing) -> WhatIf:
    """Every cached token computed, for as long as one of its kind takes now."""
    usage = of.now.usage
    prompt_s = per(usage.prefill_device_s, usage.prefill_tokens)
    output_s = per(usage.device_s - usage.prefill_device_s, usage.decode_tokens)
    more_s = 0.0
    for tokens, each_s in (
        (usage.cached_prompt_tokens, prompt_s),
        (usage.cached_output_tokens, output_s),
    ):
        if tokens and each_s is None:
            more_s = float("nan")
        more_s += tokens * (each_s or 0.0)
    assumption = (
        "each cached token computed in the device time that one of its kind takes now; the cost"
        " follows the device's time"
    )
    known = usage.device_s > 0 and more_s == more_s
    ratio = (usage.device_s + more_s) / usage.device_s if known else None
    return _made(of, "no caches", ratio, assumption)


def _batch(of: Standing) -> WhatIf:
    """Twice the sequences a step, half the steps: what reading took halves, arithmetic stays."""
    split = of.now.split
    assumption = (
        "twice the sequences a step: the time that memory took halves, that of compute stays; there"
        " is load and KV memory for them, and KV reads are taken as weights"
    )
    ratio = None
    if split.memory is not None and split.busy > 0:
        ratio = 1 - split.memory / split.busy / 2
    return _made(of, "batch ×2", ratio, assumption, missing="MBU and MFU are not known")


def _made(
    of: Standing, name: str, ratio: float | None, assumption: str, missing: str = "nothing measured"
) -> WhatIf:
    now = of.now.per_request_usd
    return WhatIf(
        name=name,
        per_request_usd=None if ratio is None or now is None else now * ratio,
        ratio=ratio,
        assumption=assumption,
        missing=missing if ratio is None else None,
    )


def _cached(usage: Usage) -> bool:
    return usage.cached_prompt_tokens + usage.cached_output_tokens > 0
