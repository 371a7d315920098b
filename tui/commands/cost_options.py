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


def with_price(settings: "CostSettings", price_per_hour: float | None) -> "CostSettings":
    """The config's `[cost]` with the price of the command line. Raises `BadInputError`."""
    check_price("--price-per-hour", price_per_hour)
    if price_per_hour is None:
        return settings
    return msgspec.structs.replace(settings, usd_per_hour=price_per_hour)
