"""What the server process is started with, as JSON."""

from ipaddress import ip_address

import msgspec

from .errors import BadInputError
from .server_operations import Operations

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8000
DEFAULT_DRAIN_S = 30.0


class GuardOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Guards that a server is started with: `table` is `[guards]` as it was read, with every
    default; lists are sought from `folder`.

    The table's own schema is the server's (`engine/server/guards/settings.py`).
    """

    table: dict[str, object]
    folder: str


class ServerOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the server listens, and how long requests in flight may take at its end.

    `port` 0 is any that is free. `chat_template` is a file whose template takes the place of the
    model's own. `guards` `None` guards nothing. `cost` is `[cost]` as it was read, what is
    set of it: its schema is `engine/cost/settings.py`.
    """

    host: str = DEFAULT_HOST
    port: int = DEFAULT_PORT
    drain_s: float = DEFAULT_DRAIN_S
    operations: Operations = Operations()
    chat_template: str | None = None
    guards: GuardOptions | None = None
    cost: dict[str, float] | None = None


def server_argument(options: ServerOptions) -> str:
    """The options as the text of `--options`."""
    return msgspec.json.encode(options).decode()


def server_options_of(text: str) -> ServerOptions:
    """Read `--options`; raises `BadInputError` where it is not what `server_argument` writes."""
    try:
        return msgspec.json.decode(text, type=ServerOptions)
    except msgspec.DecodeError as error:
        raise BadInputError(f"the server's options cannot be read: {error}") from error


def check_exposure(host: str, *, has_key: bool) -> None:
    """Raise `BadInputError` where others than this machine's users could reach a server that asks
    nobody for a key."""
    if not (has_key or is_loopback(host)):
        raise BadInputError(
            f"no start on {host} without an API key: whoever reaches it could use the model;"
            " leave --host out to serve this machine alone"
        )


def is_loopback(host: str) -> bool:
    """Whether an address, or the name `localhost`, is reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
