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
    NamedServer,
    PrometheusSettings,
    ServerSettings,
)
from ...engine.attach.prometheus.queries import checked_selector
from ...engine.http_load.messages import HttpLoadOptions
from ...engine.protocol import LoadSpec
from ...engine.protocol.errors import BadInputError
from .arguments import Debug, Record, Theme

PROMETHEUS = "prometheus+"
"""Before the address of a Prometheus."""

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
            metavar="SECONDS",
            help="Send a small request so often: true TTFT and ITL.",
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
    common = ServerSettings(
        url="",
        token_file=token_file,
        token_env=token_env,
        headers_file=headers_file,
        ca_file=ca_file,
        dcgm=None if dcgm is None else server_url(dcgm),
        proxy=proxy,
        record_trace=None if record_trace is None else str(Path(record_trace).absolute()),
        probe_s=probe,
    )
    check_measuring(common, urls or [], once=once)
    if as_json and urls and not once:
        raise BadInputError("--json goes with --once")
    if not urls:
        from .attach_found import list_found

        list_found(as_json=as_json)
        return
    options = attach_options(urls, common, select)
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
    if len(options.servers) != 1:
        raise BadInputError("a load goes to one server: give one address with --users or --rate")
    (server,) = options.servers
    spec = LoadSpec(rate_per_s=rate) if users is None else LoadSpec(users=users)
    fields = {name: getattr(server, name) for name in ServerSettings.__struct_fields__}
    return HttpLoadOptions(
        server=ServerSettings(**fields), loads=[spec], requests=1, salt=secrets.token_hex(4)
    )


def check_measuring(asked: ServerSettings, urls: list[str], *, once: bool) -> None:
    """Raise `BadInputError` for options of proxy and probe that cannot go with the others."""
    if asked.record_trace is not None and asked.proxy is None:
        raise BadInputError("--record-trace goes with --proxy: it records what passes")
    collected = any(url.startswith(PROMETHEUS) for url in urls)
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


def attach_options(given: list[str], common: ServerSettings, select: str | None) -> AttachOptions:
    """What the reader is started with. Raises `BadInputError` where it is not one kind of place."""
    collected = [text for text in given if text.startswith(PROMETHEUS)]
    if not collected:
        if select is not None:
            raise BadInputError(f"--select goes with {PROMETHEUS}http://HOST:9090")
        return AttachOptions(servers=named_servers(given, common))
    if len(given) > 1:
        raise BadInputError("a Prometheus collects a whole fleet: give it alone")
    try:
        selector = checked_selector(select or "")
    except ValueError as error:
        raise BadInputError(f"--select: {error}") from None
    fields = {name: getattr(common, name) for name in ServerSettings.__struct_fields__}
    own = {"url": server_url(collected[0].removeprefix(PROMETHEUS)), "selector": selector}
    del fields["interval_s"]
    return AttachOptions(servers=[], prometheus=PrometheusSettings(**{**fields, **own}))


def named_servers(given: list[str], common: ServerSettings) -> list[NamedServer]:
    """The servers of the command line: names of the config, else addresses with the options.

    Raises `BadInputError` for what is neither, and for a server that is named twice.
    """
    from ..settings.config import load_config

    tables = load_config().attach
    servers = [_named(text, common, tables) for text in given]
    names = [server.name for server in servers]
    for name in names:
        if names.count(name) > 1:
            raise BadInputError(f"{name} is given twice")
    return servers


def _named(text: str, common: ServerSettings, tables: dict[str, ServerSettings]) -> NamedServer:
    table = tables.get(text)
    fields = {
        field: value
        for field in ServerSettings.__struct_fields__
        if (value := getattr(common, field)) is not None
    }
    if table is not None:
        own = {field: getattr(table, field) for field in ServerSettings.__struct_fields__}
        given = {
            field: value for field, value in fields.items() if field not in ("url", "interval_s")
        }
        return NamedServer(**{**own, **given, "url": server_url(table.url)}, name=text)
    url = server_url(text)
    return NamedServer(**{**fields, "url": url}, name=url.partition("://")[2])
