"""What serving costs, as metrics: told where `[cost]` sets a price.

Counters alone, and levels that are set: what a request or a token costs is a quotient of rates.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from ..cost.budget import budget_per_hour
from ..cost.rates import Rates
from ..cost.settings import CostSettings
from ..protocol.errors import BadInputError
from .exposed import Exposed, Scraped, Values


def cost_settings(table: Mapping[str, float] | None) -> CostSettings:
    """`[cost]` as the server was started with it. Raises `BadInputError` for what it cannot be."""
    try:
        return msgspec.convert(table or {}, CostSettings)
    except msgspec.ValidationError as error:
        raise BadInputError(f"the server's prices cannot be read: {error}") from error


def rates_of(settings: CostSettings) -> Rates | None:
    """The prices that are set; `None` where nothing has one. A list price is none."""
    rates = Rates(usd_per_hour=settings.usd_per_hour, source="as set", settings=settings)
    return rates if rates.known else None


def _per_hour(scraped: Scraped) -> Values:
    price = None if scraped.rates is None else scraped.rates.usd_per_hour
    return {} if price is None else {(): price}


def _total(scraped: Scraped) -> Values:
    """Each part that has a price and an amount."""
    rates = scraped.rates
    if rates is None:
        return {}
    hours = scraped.http.uptime_s / 3600
    parts = {
        "device": _product(rates.usd_per_hour, hours),
        "energy": _product(rates.usd_per_joule, _energy_j(scraped)),
        "storage": _product(rates.storage_usd_per_hour, hours),
        "bandwidth": _product(rates.usd_per_answer_token, _answered(scraped)),
    }
    return {(part,): usd for part, usd in parts.items() if usd is not None}


def _energy_j(scraped: Scraped) -> float | None:
    """What the card took since the engine's start; not known where NVML does not tell it."""
    engine = scraped.engine
    if engine is None or "gpu_energy_joules" not in engine.gauges:
        return None
    return engine.counters.get("energy_joules")


def _answered(scraped: Scraped) -> float | None:
    """Tokens that were generated, or came from the response cache."""
    if scraped.engine is None:
        return None
    counters = scraped.engine.counters
    return counters["generation_tokens"] + counters["response_cache_tokens"]


def _product(price: float | None, amount: float | None) -> float | None:
    return None if price is None or amount is None else price * amount


def _energy(scraped: Scraped) -> Values:
    energy_j = _energy_j(scraped)
    return {} if energy_j is None else {(): energy_j}


def _budget(scraped: Scraped) -> Values:
    budget = None if scraped.rates is None else budget_per_hour(scraped.rates.settings)
    return {} if budget is None else {(): budget}


COST_ROWS: Final = (
    Exposed(
        "prodtop_engine_energy_joules_total",
        "counter",
        "What NVML's counter of the card grew by since the engine's start",
        read=_energy,
    ),
    Exposed(
        "prodtop_cost_usd_per_hour",
        "gauge",
        "Price of the engine's GPU, or of its machine, for an hour, as set",
        read=_per_hour,
    ),
    Exposed(
        "prodtop_cost_usd_total",
        "counter",
        "Cost since the server's start, by part, of what has a price",
        ("part",),
        _total,
    ),
    Exposed(
        "prodtop_cost_budget_usd_per_hour",
        "gauge",
        "The tighter budget that is set, as US dollars an hour",
        read=_budget,
    ),
)
