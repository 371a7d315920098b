"""The servers that targets of discovery files are: addresses, names and labels as Prometheus reads
them, so that one file serves both."""

from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import urlencode

import msgspec

from ...protocol.errors import BadInputError
from ..asking.addresses import SCHEMES, server_url
from ..asking.settings import HowAsked, NamedServer
from .groups import Target

ADDRESS, SCHEME, PATH, NAME = "__address__", "__scheme__", "__metrics_path__", "instance"
PARAMETER: Final = "__param_"
USUAL_PATH: Final = "/metrics"
_UNSAFE: Final = frozenset(" #")


def server_of(target: Target, common: HowAsked) -> NamedServer:
    """The server of a target, asked as `common` says. Raises `BadInputError` for an address, a
    scheme or a path that is none."""
    labels = target.labels
    address = labels.get(ADDRESS, target.address)
    scheme = labels.get(SCHEME, "http")
    if scheme not in SCHEMES:
        raise BadInputError(f"{SCHEME} '{scheme}' is neither http nor https")
    url = server_url(address if "://" in address else f"{scheme}://{address}")
    path = _path(labels)
    settings = {field: getattr(common, field) for field in HowAsked.__struct_fields__}
    short = url.partition("://")[2]
    return NamedServer(
        **settings,
        url=url,
        name=labels.get(NAME) or (short if path is None else f"{short}{path}"),
        metrics_path=path,
        labels={name: text for name, text in labels.items() if not name.startswith("__")},
    )


def _path(labels: Mapping[str, str]) -> str | None:
    """Where the metrics are, and what is asked along, where that is not the usual place."""
    path = labels.get(PATH, USUAL_PATH)
    if not path.startswith("/") or not path.isprintable() or _UNSAFE & set(path):
        raise BadInputError(f"{PATH} '{path}' is no path")
    asked = {
        name.removeprefix(PARAMETER): value
        for name, value in labels.items()
        if name.startswith(PARAMETER)
    }
    if asked:
        return f"{path}{'&' if '?' in path else '?'}{urlencode(asked)}"
    return None if path == USUAL_PATH else path


def named_apart(servers: Iterable[NamedServer]) -> list[NamedServer]:
    """Each server once, under a name of its own: of two that are called alike the second one is
    called by its address."""
    found: dict[str, NamedServer] = {}
    for server in servers:
        held = found.get(server.name)
        if held is None:
            found[server.name] = server
            continue
        if (held.url, held.metrics_path) == (server.url, server.metrics_path):
            continue
        name = f"{server.url.partition('://')[2]}{server.metrics_path or ''}"
        found.setdefault(name, msgspec.structs.replace(server, name=name))
    return list(found.values())
