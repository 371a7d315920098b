"""The options of a server, for the commands that start one."""

from pathlib import Path
from typing import Annotated

import typer

from ...engine.protocol.errors import BadInputError
from ...engine.protocol.options import WorkerOptions
from ...engine.protocol.server_operations import Operations
from ...engine.protocol.server_options import ServerOptions, check_exposure
from .engine_options import OPTIONS, Given

MOST_PORT = 65_535

Host = Annotated[
    str, typer.Option(metavar="H", help="The address to listen on: this machine's own.")
]
ChatTemplate = Annotated[
    str | None,
    typer.Option(
        metavar="FILE", help="A chat template (Jinja) for HTTP clients in place of the model's."
    ),
]
DEFAULT_STRATEGY = WorkerOptions().strategy.value
Strategy = Annotated[str, typer.Option(metavar="S", help="How requests are scheduled.")]
Precision = Annotated[
    str | None,
    typer.Option(metavar="P", help="Of the weights: the device's own, unless given."),
]
Drain = Annotated[
    float, typer.Option(metavar="SECONDS", help="How long requests may take at the end.")
]
GuardsFile = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="A file with [guards]; else the config's own, if any."),
]
Port = Annotated[int, typer.Option(metavar="P", min=0, max=MOST_PORT, help="0: any that is free.")]

ARRIVALS = ("ramp", "burst", "trace")
LOADING_OPTIONS = frozenset(
    name
    for name, option in OPTIONS.items()
    if option.load_field is not None or name in ("output_tokens", "prompt_tokens", *ARRIVALS)
)
"""The options that ask for a load of prodtop's own."""


def server_options(
    host: str,
    port: int,
    drain_s: float,
    operations: Operations,
    chat_template: str | None,
) -> ServerOptions:
    """The options of a server. Raises `BadInputError` for an address that others reach, or a
    template that cannot be read."""
    check_exposure(host, has_key=bool(operations.key_hashes))
    if not 0 <= drain_s < float("inf"):
        raise BadInputError("--drain must be a number of seconds, at least 0")
    if chat_template is not None:
        # Imported here: with it comes Jinja, which the first frame would wait for.
        from ...engine.text.chat_template import read_chat_template

        # The server reads it later: here it is known at once that it cannot be read.
        template = Path(chat_template).expanduser().absolute()
        read_chat_template(template, {})
        chat_template = str(template)
    return ServerOptions(
        host=host,
        port=port,
        drain_s=drain_s,
        operations=operations,
        chat_template=chat_template,
    )


def asks_for_load(given: Given, *others: object) -> bool:
    """Whether the command line asks for a load beside the server's requests; `others` are the
    command's own options of a load."""
    named = [given[name] for name in LOADING_OPTIONS]
    return any(value is not None for value in (*named, *others))
