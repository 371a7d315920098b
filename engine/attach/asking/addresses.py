"""Addresses of servers as users give them: checked, completed, and never with a secret in them."""

from urllib.parse import SplitResult, urlsplit, urlunsplit

from ...protocol.errors import BadInputError
from ...text.cleaning import clean

SCHEMES = ("http", "https")
_API_PATHS = ("/v1", "/metrics", "/v1/metrics")
"""What is copied along with an address: taken off its end."""


def server_url(text: str) -> str:
    """The base address of a server: `localhost:8000` is `http://localhost:8000`.

    Raises `BadInputError` for what is no http or https address, or has a user or a query.
    """
    shown = clean(text)
    whole = text if "://" in text else f"http://{text}"
    try:
        parts = urlsplit(whole)
        port = parts.port
    except ValueError as error:
        raise BadInputError(f"'{shown}' is no address: {error}") from None
    if parts.scheme not in SCHEMES or not parts.hostname:
        raise BadInputError(f"'{shown}' is no address: give http://HOST:PORT")
    if parts.username is not None or parts.password is not None:
        raise BadInputError(
            "an address with a user or password in it is shown and recorded: use --token-file"
        )
    if parts.query or parts.fragment:
        raise BadInputError(f"'{shown}' has a query: give the server's address alone")
    if port == 0:
        raise BadInputError(f"'{shown}' has port 0: give the one that the server listens on")
    return urlunsplit(SplitResult(parts.scheme, parts.netloc, _base_path(parts.path), "", ""))


def _base_path(path: str) -> str:
    path = path.rstrip("/")
    for end in _API_PATHS:
        if path.endswith(end):
            return path.removesuffix(end)
    return path


def host_and_port(url: str) -> tuple[str, int]:
    """Of an address that `server_url` made."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return parts.hostname or "", port
