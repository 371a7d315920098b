"""`prodtop attach`: the screen over servers that run already."""

import sys
from typing import Annotated

import typer

from ...engine.attach.addresses import server_url
from ...engine.attach.settings import (
    HIGHEST_PORT,
    LONGEST_INTERVAL_S,
    SHORTEST_PROBE_S,
    AttachOptions,
    NamedServer,
    ServerSettings,
)
from ...engine.protocol.errors import BadInputError
from .arguments import Debug

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
    dcgm: Annotated[
        str | None, typer.Option("--dcgm", metavar="URL", help="A DCGM exporter for its GPUs.")
    ] = None,
    proxy: Annotated[
        int | None,
        typer.Option("--proxy", metavar="PORT", help="Pass requests on here, and measure them."),
    ] = None,
    record_trace: Annotated[
        str | None,
        typer.Option("--record-trace", metavar="FILE", help="A trace of them, without text."),
    ] = None,
    probe: Annotated[
        float | None,
        typer.Option("--probe", metavar="SECONDS", help="So often a small request of its own."),
    ] = None,
    once: Annotated[
        bool, typer.Option("--once", help="Print what it tells now, without a screen.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="With --once, or without an address: as JSON.")
    ] = False,
    theme: Annotated[
        str | None, typer.Option(metavar="T", help="One of prodtop's themes, or of your own.")
    ] = None,
    record: Annotated[
        str | None,
        typer.Option(metavar="[FILE]", help="Record to a new file, or one in the usual folder."),
    ] = None,
    debug: Debug = False,
) -> None:
    """Watch servers that run already: vLLM, SGLang, TensorRT-LLM, TGI, llama.cpp, Ollama and more.

    Nothing is sent to them but GET requests of what they tell of themselves, what comes by --proxy,
    and the requests of --probe.
    """
    common = ServerSettings(
        url="",
        token_file=token_file,
        token_env=token_env,
        headers_file=headers_file,
        ca_file=ca_file,
        dcgm=None if dcgm is None else server_url(dcgm),
        proxy=proxy,
        record_trace=record_trace,
        probe_s=probe,
    )
    check_measuring(common, urls or [], once=once)
    if as_json and urls and not once:
        raise BadInputError("--json goes with --once")
    if not urls:
        from .attach_found import list_found

        list_found(as_json=as_json)
        return
    options = AttachOptions(servers=named_servers(urls, common))
    if once:
        from .attach_once import print_once

        print_once(options, as_json=as_json)
        return
    if not all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)):
        raise BadInputError(
            "the screen needs a terminal: run it in one, or use 'prodtop attach URL --once --json'"
        )
    from .attach_screen import open_attached

    open_attached(options, theme, record)


def check_measuring(asked: ServerSettings, urls: list[str], *, once: bool) -> None:
    """Raise `BadInputError` for options of proxy and probe that cannot go with the others."""
    if asked.record_trace is not None and asked.proxy is None:
        raise BadInputError("--record-trace goes with --proxy: it records what passes")
    if asked.proxy is not None and len(urls) != 1:
        raise BadInputError("--proxy passes requests on to one server: name one")
    if asked.proxy is not None and not 0 <= asked.proxy <= HIGHEST_PORT:
        raise BadInputError(f"--proxy: a port is a number up to {HIGHEST_PORT}")
    if asked.probe_s is not None and not SHORTEST_PROBE_S <= asked.probe_s <= LONGEST_INTERVAL_S:
        raise BadInputError(
            f"--probe: {SHORTEST_PROBE_S:g} to {LONGEST_INTERVAL_S:g} seconds between two"
        )
    if once and (asked.proxy, asked.probe_s) != (None, None):
        raise BadInputError("--proxy and --probe take time: they go without --once")


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
