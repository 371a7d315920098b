"""`prodtop ready`: the checklist for production, and the drills that prove its items."""

from typing import Annotated

import typer

from ...engine.protocol.server_options import DEFAULT_DRAIN_S
from .arguments import Debug, Json
from .engine_options import SERVING, Given, with_engine_options
from .server_operations import with_server_operations
from .server_options import DEFAULT_STRATEGY, ChatTemplate, Drain, GuardsFile, Precision, Strategy

NOT_READY = 3
"""The exit code where an item does not hold."""


@with_server_operations
@with_engine_options(**SERVING)
def ready(
    given: Given,
    run: Annotated[
        str | None,
        typer.Option(
            metavar="[ITEM,…]",
            help="Prove items first, all that can be unless named: quality, batching, guards,"
            " load, recovery, drain, snapshot.",
        ),
    ] = None,
    strategy: Strategy = DEFAULT_STRATEGY,
    precision: Precision = None,
    drain: Drain = DEFAULT_DRAIN_S,
    chat_template: ChatTemplate = None,
    guards: GuardsFile = None,
    *,
    operated: Given,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Say whether serving is ready for production: exit code 0 where every item holds, else 3.

    Give the options that prodtop serve is to have. --run starts such a server on loopback, without
    TLS and with a key of its own, and ends it.
    """
    # Here and not above: the other commands need not wait for what this one needs.
    from .ready_options import Wanted
    from .ready_run import check

    wanted = Wanted.of(
        given,
        operated,
        strategy=strategy,
        precision=precision,
        drain_s=drain,
        chat_template=chat_template,
        guards=guards,
    )
    if not check(wanted, run, as_json=json):
        raise typer.Exit(NOT_READY)
