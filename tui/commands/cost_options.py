"""The prices on a command line, and those of the config for a server."""

from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from ...engine.protocol.errors import BadInputError

if TYPE_CHECKING:
    from ...engine.cost.settings import CostSettings

LARGEST_PRICE = 1e6

Price = Annotated[
    float | None,
    typer.Option("--price-per-hour", metavar="USD", help="Of one GPU; else the config's."),
]


def check_price(option: str, price: float | None) -> None:
    """Raise `BadInputError` for a price that is none."""
    if price is not None and not 0 < price <= LARGEST_PRICE:
        raise BadInputError(f"{option} must be a number above 0, not {price:g}")


def given_prices(settings: "CostSettings") -> dict[str, float] | None:
    """What is set of `[cost]`, as a server is started with it; `None` where nothing is."""
    fields = msgspec.structs.asdict(settings)
    return {name: value for name, value in fields.items() if value is not None} or None


def cost_of_config(price_per_hour: float | None) -> dict[str, float] | None:
    """The config's `[cost]` with the price of the command line. Raises `BadInputError`."""
    # Here and not above: other commands need not wait for the config's schema.
    from ..settings.config import load_config

    check_price("--price-per-hour", price_per_hour)
    cost = load_config().cost
    if price_per_hour is not None:
        cost = msgspec.structs.replace(cost, usd_per_hour=price_per_hour)
    return given_prices(cost)
