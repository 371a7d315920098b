"""Which servers are watched and how they are reached: what the config and the reader are told."""

from typing import Annotated

import msgspec

from ...protocol.errors import BadInputError

SCRAPE_INTERVAL_S = 1.0
LONGEST_INTERVAL_S = 3600.0
SHORTEST_PROBE_S = 1.0
"""More often would be a load."""
USUAL_PROBE_S = 5.0
MOST_SERVERS = 2000
HIGHEST_PORT = 65_535

Seconds = Annotated[float, msgspec.Meta(ge=0.1, le=LONGEST_INTERVAL_S)]
Port = Annotated[int, msgspec.Meta(ge=0, le=HIGHEST_PORT)]
ProbeSeconds = Annotated[float, msgspec.Meta(ge=SHORTEST_PROBE_S, le=LONGEST_INTERVAL_S)]


class HowAsked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How servers are asked, wherever they are.

    Secrets are never here: `token_file` and `token_env` say where a bearer token is, `headers_file`
    holds further `Name: value` lines. All three are read anew for each request. `ca_file` is a
    bundle of certificates to trust; `dcgm` the address of a DCGM exporter for the server's GPUs.

    `proxy` is a port of this machine that passes requests on to the server and measures them (0:
    any that is free), `record_trace` the file for a trace of these; `probe_s` how often a small
    request of prodtop's own is sent. Without them the server gets nothing but GETs.
    """

    token_file: str | None = None
    token_env: str | None = None
    headers_file: str | None = None
    ca_file: str | None = None
    dcgm: str | None = None
    interval_s: Seconds = SCRAPE_INTERVAL_S
    proxy: Port | None = None
    record_trace: str | None = None
    probe_s: ProbeSeconds | None = None


class ServerSettings(HowAsked, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One server."""

    url: str


class AttachTable(HowAsked, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[attach.NAME]` in the config: one server, or those that discovery files name."""

    url: str | None = None
    file_sd: str | None = None


class TargetFile(HowAsked, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A discovery file, or a pattern of several, and how the servers that it names are asked."""

    path: str


class NamedServer(ServerSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A server by the name that the user gave it, or its address. `metrics_path` is where its
    metrics are, if not where its engine has them; `labels` are what a discovery file says of it."""

    name: str
    metrics_path: str | None = None
    labels: dict[str, str] = {}


class PrometheusSettings(ServerSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The Prometheus that collects a fleet: `url` is its own, `selector` says which of its targets
    (`job="vllm"`; empty: all). `scrape_interval_s` is how often it asks them; `interval_s` how
    often it is asked itself."""

    selector: str = ""
    scrape_interval_s: Seconds = 15.0
    interval_s: Seconds = 5.0


class AttachOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the reader process is started with."""

    servers: list[NamedServer]
    target_files: list[TargetFile] = []
    prometheus: PrometheusSettings | None = None


def to_argument(options: AttachOptions) -> str:
    """The options as the text of `--options`."""
    return msgspec.json.encode(options).decode()


def from_argument(text: str) -> AttachOptions:
    """Read `--options`; raises `BadInputError` where it is not what `to_argument` writes."""
    try:
        return msgspec.json.decode(text, type=AttachOptions)
    except msgspec.DecodeError as error:
        raise BadInputError(f"the reader's options cannot be read: {error}") from error
