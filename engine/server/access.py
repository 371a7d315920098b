"""Who may use the server: clients with a key, or where none is asked for this machine's programs.

Both guards are middleware, so that no route is without: what is not open by name is refused before
its body is read, also where there is no such route.
"""

import hmac
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from ..protocol.api_keys import key_hash
from ..protocol.server_options import is_loopback
from .errors import ApiError, refuse
from .scope_keys import KEY_ID

OPEN_PATHS = frozenset({"/health", "/ready"})
"""Load balancers ask these, which have no key; they say nothing but whether an engine serves."""
_OPEN_METHODS = frozenset({"GET", "HEAD"})
_SCHEME = b"bearer"

INVALID_KEY = "invalid_api_key"
FOREIGN_ORIGIN = "foreign_origin"


class KeyGuard:
    """Lets requests pass that have one of the keys with `hashes`, as `Authorization: Bearer KEY`.

    The others get 401.
    """

    def __init__(self, app: ASGIApp, hashes: Sequence[str]) -> None:
        self._app = app
        self._hashes = tuple(hashes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or _is_open(scope) or self._has_key(scope):
            await self._app(scope, receive, send)
            return
        error = ApiError(
            401,
            "a valid API key is needed: send the header 'Authorization: Bearer KEY'",
            code=INVALID_KEY,
            headers={"www-authenticate": "Bearer"},
        )
        await refuse(error, scope, receive, send)

    def _has_key(self, scope: Scope) -> bool:
        """Takes the same time whatever the key, and whichever of the hashes is its own."""
        given = _values(scope, b"authorization")
        scheme, _, token = (given[0] if len(given) == 1 else b"").partition(b" ")
        own = key_hash(token.strip())
        known = False
        for each in self._hashes:
            known |= hmac.compare_digest(each, own)
        scope[KEY_ID] = own
        return known and scheme.lower() == _SCHEME


class LocalGuard:
    """Keeps web pages out where no key is asked for: 403 for a request that names another host.

    A browser on this machine reaches the loopback on behalf of any page. It says so in `Origin`, or
    in `Host` where the page's own name was made to mean this machine (DNS rebinding).
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or _is_local(scope):
            await self._app(scope, receive, send)
            return
        error = ApiError(
            403,
            "without an API key only this machine's programs are served, by the name localhost or"
            " a loopback address: web pages of other hosts are not",
            code=FOREIGN_ORIGIN,
        )
        await refuse(error, scope, receive, send)


def _is_open(scope: Mapping[str, Any]) -> bool:
    return (
        scope["type"] == "http" and scope["path"] in OPEN_PATHS and scope["method"] in _OPEN_METHODS
    )


def _is_local(scope: Scope) -> bool:
    hosts = [_host_of(b"//" + value) for value in _values(scope, b"host")]
    origins = [_host_of(value) for value in _values(scope, b"origin")]
    return all(host is not None and is_loopback(host) for host in (*hosts, *origins))


def _host_of(url: bytes) -> str | None:
    """The host that a URL names; `None` where it names none, as the origin `null`."""
    try:
        return urlsplit(url.decode("latin-1")).hostname
    except ValueError:
        return None


def _values(scope: Scope, name: bytes) -> list[bytes]:
    return [value for key, value in scope["headers"] if key == name]
