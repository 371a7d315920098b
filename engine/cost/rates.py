"""What hours, joules, stored and sent bytes cost, and where each price is from."""

from dataclasses import dataclass

from .settings import NO_COST_SETTINGS, CostSettings

MONTH_H = 730.0
"""A month of storage: 8,760 hours ÷ 12."""
GIB = 2**30
KWH_J = 3.6e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Prices as they hold for one engine. `usd_per_hour` is of its one GPU, or of its machine.

    source: where that price is from, in words; empty without one. listed: it is a provider's list
    price, which nobody here has said to pay.
    """

    usd_per_hour: float | None = None
    source: str = ""
    listed: bool = False
    settings: CostSettings = NO_COST_SETTINGS

    @property
    def usd_per_joule(self) -> float | None:
        """Of the card alone: neither host nor cooling is in its counter."""
        price = self.settings.usd_per_kwh
        return None if price is None else price / KWH_J

    @property
    def storage_usd_per_hour(self) -> float | None:
        """`None` where price or amount is not given."""
        price, stored = self.settings.storage_usd_per_gib_month, self.settings.storage_gib
        return None if price is None or stored is None else price * stored / MONTH_H

    @property
    def usd_per_answer_token(self) -> float | None:
        """Bandwidth; `None` where price or bytes are not given."""
        price, size = self.settings.bandwidth_usd_per_gib, self.settings.answer_bytes_per_token
        return None if price is None or size is None else price * size / GIB

    @property
    def known(self) -> bool:
        """Whether anything has a price."""
        parts = (
            self.usd_per_hour,
            self.usd_per_joule,
            self.storage_usd_per_hour,
            self.usd_per_answer_token,
        )
        return any(part is not None for part in parts)


NO_RATES = Rates()
