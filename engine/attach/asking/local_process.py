"""Which process of this machine a server is, by the port that it listens on."""

import ipaddress
from urllib.parse import urlsplit

import psutil

LOCAL_NAMES = frozenset({"localhost", "ip6-localhost"})


def is_local(url: str) -> bool:
    """Whether an address is of this machine's loopback. Other names may be containers."""
    host = urlsplit(url).hostname or ""
    if host in LOCAL_NAMES:
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    # To connect to "any address" is to connect to this machine.
    return address.is_loopback or address.is_unspecified


def pid_at(_host: str, port: int) -> int | None:
    """The process that listens on a port; `None` where nobody may tell, or none does."""
    return next((pid for listening, pid in listeners() if listening == port), None)


def listeners() -> list[tuple[int, int | None]]:
    """The ports that this machine listens on, each once, with the process where that is told."""
    try:
        connections = psutil.net_connections(kind="tcp")
    except (psutil.Error, OSError):
        return []
    found: dict[int, int | None] = {}
    for each in connections:
        if each.status == psutil.CONN_LISTEN and each.laddr:
            found[each.laddr.port] = found.get(each.laddr.port) or each.pid
    return sorted(found.items())
