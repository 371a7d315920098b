"""Ids and arrival times of requests: the client's own id where it is clean, else a new one."""

import re
import secrets
import time

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADER = "x-request-id"
_CLEAN = re.compile(r"[\x21-\x7e]{1,128}")
_STATE_ID, _STATE_ARRIVAL = "request_id", "arrival_at_s"


class RequestIds:
    """Middleware: every response has its id, and every route can ask for id and arrival."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get(HEADER, "")
        own = given if _CLEAN.fullmatch(given) else secrets.token_hex(16)
        state = scope.setdefault("state", {})
        state[_STATE_ID], state[_STATE_ARRIVAL] = own, time.monotonic()

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[HEADER] = own
            await send(message)

        await self._app(scope, receive, send_with_id)


def request_id(request: Request) -> str:
    """The request's id."""
    return str(getattr(request.state, _STATE_ID))


def arrival_at_s(request: Request) -> float:
    """When its head came, on the monotonic clock."""
    return float(getattr(request.state, _STATE_ARRIVAL))
