"""What an engine's hour costs, for the target on the cost of a request."""

from collections.abc import Callable, Mapping

from ...engine.cost.settings import NO_COST_SETTINGS, CostSettings
from ...engine.protocol import Frame
from ..settings.config import PriceTable
from .billing import Billing


def price_of(
    own: Mapping[str, PriceTable], cost: CostSettings = NO_COST_SETTINGS
) -> Callable[[Frame], float | None]:
    """From a frame to US dollars per hour of what it is of, by the prices that the panels of cost
    show (`Billing.rates`); `None` for what has no price."""
    billing = Billing(cost, prices={gpu: table.price() for gpu, table in own.items()})
    return lambda frame: billing.rates_of(frame).usd_per_hour
