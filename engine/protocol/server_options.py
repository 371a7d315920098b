"""What a server is started with."""

import msgspec


class ServerOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Where it listens, and how long it lets requests end before it stops."""

    host: str = "127.0.0.1"
    port: int = 8000
    drain_s: float = 30.0
