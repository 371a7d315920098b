"""`prodtop attach`: the screen over servers that run already."""

import secrets
import sys
from pathlib import Path
from typing import Annotated

import typer

from ...engine.attach.asking.addresses import server_url
from ...engine.attach.asking.settings import (
    HIGHEST_PORT,
    LONGEST_INTERVAL_S,
    SHORTEST_PROBE_S,
    AttachOptions,
    HowAsked,
    ServerSettings,
)
from ...engine.http_load.messages import HttpLoadOptions
from ...engine.protocol import LoadSpec
from ...engine.protocol.errors import BadInputError
from .arguments import Debug, Record, Theme
from .attach_places import FILE_SD, PROMETHEUS, attach_options, given_places

Secret = Annotated[
    str | None, typer.Option("--token-file", metavar="FILE", help="Holds a bearer token.")
]


def attach(
    urls: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[URL|NAME]...",
            help="Addresses, or names of [attach.NAME] in the config; none: look on this machine.",
        ),
    ] = None,
    file_sd: Annotated[
        list[str] | None,
        typer.Option(
            "--file-sd", metavar="FILE", help="A discovery file of Prometheus', or 'PATTERN'."
        ),
    ] = None,
    token_file: Secret = None,
    token_env: Annotated[
        str | None, typer.Option("--token-env", metavar="VAR", help="A variable with one.")
    ] = None,
    headers_file: Annotated[
        str | None, typer.Option("--headers-file", metavar="FILE", help="'Name: value' lines.")
    ] = None,
    ca_file: Annotated[
        str | None, typer.Option("--ca-file", metavar="FILE", help="Certificates to trust.")
    ] = None,
    select: Annotated[
        str | None,
        typer.Option("--select", metavar="MATCHERS", help="Of a Prometheus: 'job=\"vllm\"'."),
    ] = None,
    dcgm: Annotated[
        str | None, typer.Option("--dcgm", metavar="URL", help="A DCGM exporter for its GPUs.")
    ] = None,
    proxy: Annotated[
        int | None,
        typer.Option("--proxy", metavar="PORT", help="Pass requests on here, and measure them."),
    ] = None,
    record_trace: Annotated[
        str | None,
        typer.Option(
            "--record-trace", metavar="FILE", help="With --proxy: a trace of them, without text."
        ),
    ] = None,
    probe: Annotated[
        float | None,
        typer.Option(
            "--probe",
            metavar="[SECONDS]",
            help="Send a small request so often, 5: true TTFT and ITL.",
        ),
    ] = None,
    users: Annotated[
        int | None,
        typer.Option("--users", metavar="N", min=1, help="Put a load on it: so many clients."),
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option("--rate", metavar="R", min=0.001, help="Or so many requests a second."),
    ] = None,
    once: Annotated[
        bool, typer.Option("--once", help="Print what it tells now, without a screen.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="With --once, or without an address: as JSON.")
    ] = False,
    theme: Theme = None,
    record: Record = None,
    debug: Debug = False,
) -> None:
    """Watch servers that run already: vLLM, SGLang, TensorRT-LLM, TGI, llama.cpp, Ollama and more.

    Nothing is sent to them but GET requests of what they tell of themselves, unless --probe asks
    for more, or programs send theirs through --proxy.
    """
    common = HowAsked(
        token_file=token_file,
        token_env=token_env,
        headers_file=headers_file,
        ca_file=ca_file,
        dcgm=None if dcgm is None else server_url(dcgm),
        proxy=proxy,
        record_trace=None if record_trace is None else str(Path(record_trace).absolute()),
        probe_s=probe,
    )
    places = given_places(urls or [], file_sd or [])
    check_measuring(common, places, once=once)
    if as_json and places and not once:
        raise BadInputError("--json goes with --once")
    if not places:
        from .attach_found import list_found

        list_found(as_json=as_json)
        return
    options = attach_options(places, common, select)
    if once and options.prometheus is not None:
        raise BadInputError("--once asks servers themselves: give their addresses")
    if once:
        from .attach_once import print_once

        print_once(options, as_json=as_json)
        return
    load = _load(options, users, rate)
    if not all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)):
        raise BadInputError(
            "the screen needs a terminal: run it in one, or use 'prodtop attach URL --once --json'"
        )
    from .attach_screen import open_attached

    open_attached(options, theme, record, load)


def _load(options: AttachOptions, users: int | None, rate: float | None) -> HttpLoadOptions | None:
    """The load that is put on the server, where that was asked for. Raises `BadInputError`."""
    if users is None and rate is None:
        return None
    if users is not None and rate is not None:
        raise BadInputError("--users and --rate exclude each other: give one of them")
    if len(options.servers) != 1 or options.target_files:
        raise BadInputError("a load goes to one server: give one address with --users or --rate")
    (server,) = options.servers
    spec = LoadSpec(rate_per_s=rate) if users is None else LoadSpec(users=users)
    fields = {name: getattr(server, name) for name in ServerSettings.__struct_fields__}
    return HttpLoadOptions(
        server=ServerSettings(**fields), loads=[spec], requests=1, salt=secrets.token_hex(4)
    )


def check_measuring(asked: HowAsked, urls: list[str], *, once: bool) -> None:
    """Raise `BadInputError` for options of proxy and probe that cannot go with the others."""
    if asked.record_trace is not None and asked.proxy is None:
        raise BadInputError("--record-trace goes with --proxy: it records what passes")
    collected = any(url.startswith((PROMETHEUS, FILE_SD)) for url in urls)
    if asked.proxy is not None and (len(urls) != 1 or collected):
        raise BadInputError("--proxy passes requests on to one server: name one")
    if asked.probe_s is not None and collected:
        raise BadInputError("--probe sends requests to servers: give their addresses")
    if asked.proxy is not None and not 0 <= asked.proxy <= HIGHEST_PORT:
        raise BadInputError(f"--proxy: a port is a number up to {HIGHEST_PORT}")
    if asked.probe_s is not None and not SHORTEST_PROBE_S <= asked.probe_s <= LONGEST_INTERVAL_S:
        raise BadInputError(
            f"--probe: {SHORTEST_PROBE_S:g} to {LONGEST_INTERVAL_S:g} seconds between two"
        )
    if once and (asked.proxy, asked.probe_s) != (None, None):
        raise BadInputError("--proxy and --probe take time: they go without --once")
