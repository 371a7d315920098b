"""`prodtop serve`: the engine behind an OpenAI-compatible server, without a screen."""

from dataclasses import replace
from typing import Annotated

import msgspec
import typer

from ...engine.client.local_engine import LocalEngine
from ...engine.protocol import LoadSpec
from ...engine.protocol.options import WorkerOptions
from ...engine.protocol.server_options import DEFAULT_DRAIN_S, DEFAULT_HOST, DEFAULT_PORT
from .arguments import Debug, parse_precision, parse_strategy
from .cost_options import Price, given_prices, with_price
from .engine_options import SERVING, Given, engine_options, refuse_two_loads, with_engine_options
from .record_trace import RecordTrace, new_file
from .server_operations import server_operations, with_server_operations
from .server_options import (
    DEFAULT_STRATEGY,
    ChatTemplate,
    Drain,
    GuardsFile,
    Host,
    Port,
    Precision,
    Strategy,
    asks_for_load,
    server_options,
)


@with_server_operations
@with_engine_options(**SERVING)
def serve(
    given: Given,
    strategy: Strategy = DEFAULT_STRATEGY,
    precision: Precision = None,
    users: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="A load beside the server: clients of its own."),
    ] = None,
    host: Host = DEFAULT_HOST,
    port: Port = DEFAULT_PORT,
    drain: Drain = DEFAULT_DRAIN_S,
    chat_template: ChatTemplate = None,
    record_trace: RecordTrace = None,
    guards: GuardsFile = None,
    price_per_hour: Price = None,
    *,
    operated: Given,
    debug: Debug = False,
) -> None:
    """Serve a model over HTTP, as OpenAI's API does, until ctrl+c or SIGTERM."""
    refuse_two_loads(given, "users", users)
    base = WorkerOptions(
        strategy=parse_strategy(strategy),
        precision=None if precision is None else parse_precision(precision),
        load=LoadSpec(paused=not asks_for_load(given, users)),
        record_trace=new_file(record_trace),
    )
    options = engine_options(given, base, {"users": users})
    server = server_options(host, port, drain, server_operations(operated), chat_template)
    # Here and not above: the other commands need not wait for the screen's words.
    from ..settings.config import load_config
    from ..state.billing import Billing
    from ..state.target_watch import watched
    from .guard_options import guards_of_config, guards_of_file
    from .serve_run import serve as run_server

    guarded = guards_of_config() if guards is None else guards_of_file(guards)
    config = load_config()
    cost = with_price(config.cost, price_per_hour)
    server = msgspec.structs.replace(server, guards=guarded, cost=given_prices(cost))

    # Without a GPU nothing here needs what a probe reads.
    engine = (
        LocalEngine(options, probe_command=None, server=server)
        if options.device == "cpu"
        else LocalEngine(options, server=server)
    )
    billing = replace(Billing.of(config), cost=cost)
    target_engine, _ = watched(engine, config, billing)
    run_server(engine, server, target_engine)
