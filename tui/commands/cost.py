"""`prodtop cost`: what was served or measured cost, and how many GPUs a load needs."""

from typing import Annotated

import typer

from .arguments import Debug, Json
from .cost_options import Price

Energy = Annotated[float | None, typer.Option("--price-per-kwh", metavar="USD", help="Of energy.")]
Target = Annotated[
    float | None,
    typer.Option("--target", metavar="R", help="Requests a second to count GPUs for."),
]


def cost(
    name: Annotated[
        str,
        typer.Argument(metavar="FILE", help="A file, or a snapshot's or recording's name."),
    ] = "latest",
    price_per_hour: Price = None,
    price_per_kwh: Energy = None,
    target: Target = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Show what serving cost: of a snapshot, a recording, or what bench and compare wrote.

    Prices are those of [cost] in config.toml, unless given; a GPU without one has its list price.
    Limits of the load curve are those of [slo].
    """
    # Here and not above: the screen's words, for which other commands need not wait.
    from .cost_report import Prices, report

    report(name, Prices(price_per_hour, price_per_kwh, target), as_json=json)
