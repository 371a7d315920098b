"""The cost of what was used over a span: its parts, a request's and a token's, where time went.

Formulas and their assumptions are in docs/production.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ..protocol import Usage
from .rates import Rates

MILLION = 1e6
HOUR_S = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeSplit:
    """Where the device's time went, as shares of the span that add up to 1.

    `busy` is split by how much of it each ceiling would need at least: MFU against MBU. Both are
    `None` where the ceilings were not measured, or nothing was computed.
    """

    idle: float
    busy: float
    compute: float | None
    memory: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenPrices:
    """US dollars for a million tokens; `None` for a kind of which there were none.

    `spared_usd`: what the cached tokens would have cost as computed ones.
    """

    input: float | None
    output: float | None
    cached: float | None
    spared_usd: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Spend:
    """What a span cost, in US dollars. A part without a price is `None`, and not in
    `total_usd`, which is `None` where no part has one."""

    usage: Usage
    device_usd: float | None
    energy_usd: float | None
    storage_usd: float | None
    bandwidth_usd: float | None
    total_usd: float | None
    per_request_usd: float | None
    tokens: TokenPrices
    split: TimeSplit

    @property
    def per_hour_usd(self) -> float | None:
        """The rate at which it is spent."""
        return per(self.total_usd, self.usage.span_s, HOUR_S)

    @property
    def joules_per_request(self) -> float | None:
        return per(self.usage.energy_j, self.usage.requests)

    @property
    def joules_per_output_token(self) -> float | None:
        return per(self.usage.energy_j, self.usage.decode_tokens)


def spend(usage: Usage, rates: Rates) -> Spend:
    """The cost of a span: rent and storage by time, energy by the counter, bandwidth by tokens."""
    answers = usage.decode_tokens + usage.cached_output_tokens
    device = times(rates.usd_per_hour, usage.span_s / HOUR_S)
    energy = None if usage.energy_j is None else times(rates.usd_per_joule, usage.energy_j)
    storage = times(rates.storage_usd_per_hour, usage.span_s / HOUR_S)
    bandwidth = times(rates.usd_per_answer_token, answers)
    total = sum_of_known((device, energy, storage, bandwidth))
    return Spend(
        usage=usage,
        device_usd=device,
        energy_usd=energy,
        storage_usd=storage,
        bandwidth_usd=bandwidth,
        total_usd=total,
        per_request_usd=per(total, usage.requests),
        tokens=token_prices(usage, total),
        split=time_split(usage),
    )


def token_prices(usage: Usage, total_usd: float | None) -> TokenPrices:
    """The total divided between prompts and answers as the steps' time was, idle time with it.

    Cached tokens took no step's time: their price is 0 by this rule, and what they spared is told
    beside it, at the prices of the computed ones.
    """
    if total_usd is None or usage.device_s <= 0:
        return TokenPrices(input=None, output=None, cached=None, spared_usd=None)
    prompts = usage.prefill_device_s / usage.device_s
    into = per(total_usd * prompts, usage.prefill_tokens, MILLION)
    out = per(total_usd * (1 - prompts), usage.decode_tokens, MILLION)
    cached = usage.cached_prompt_tokens + usage.cached_output_tokens
    return TokenPrices(
        input=into,
        output=out,
        cached=0.0 if cached else None,
        spared_usd=_spared(usage, into, out) if cached else None,
    )


def _spared(usage: Usage, into: float | None, out: float | None) -> float | None:
    """`None` where cached tokens of a kind have no computed one to be priced by."""
    spared = 0.0
    for tokens, price in ((usage.cached_prompt_tokens, into), (usage.cached_output_tokens, out)):
        if tokens and price is None:
            return None
        spared += tokens * (price or 0.0) / MILLION
    return spared


def time_split(usage: Usage) -> TimeSplit:
    """Idle, and the busy time as MFU and MBU divide it."""
    busy = min(usage.device_s / usage.span_s, 1.0) if usage.span_s > 0 else 0.0
    mfu, mbu = usage.mfu, usage.mbu
    if mfu is None or mbu is None or mfu + mbu <= 0:
        return TimeSplit(idle=1 - busy, busy=busy, compute=None, memory=None)
    compute = busy * mfu / (mfu + mbu)
    return TimeSplit(idle=1 - busy, busy=busy, compute=compute, memory=busy - compute)


def times(price: float | None, amount: float) -> float | None:
    """Price × amount; `None` without a price."""
    return None if price is None else price * amount


def per(amount: float | None, count: float, unit: float = 1.0) -> float | None:
    """An amount for each `unit` of what there were `count` of; `None` where there were none."""
    return None if amount is None or count <= 0 else amount / count * unit


def sum_of_known(parts: Sequence[float | None]) -> float | None:
    """The sum of what is known; `None` where nothing is."""
    known = [part for part in parts if part is not None]
    return sum(known) if known else None
