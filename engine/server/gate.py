"""The outermost layer of the app: counts and logs what goes through, and keeps new requests out of
a drain.

ASGI without Starlette: it sees every request, also those that no route takes or that fail.
"""

import json
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any

from .guarding import RATE_LIMIT_EXCEEDED
from .http_counters import HttpCounters
from .scope_keys import BROKEN_OFF, ERROR_CODE
from .state import Draining

if TYPE_CHECKING:
    from .request_log import RequestLogger

AsgiMessage = MutableMapping[str, Any]  # as ASGI defines it
Receive = Callable[[], Awaitable[AsgiMessage]]
Send = Callable[[AsgiMessage], Awaitable[None]]
AsgiApp = Callable[[AsgiMessage, Receive, Send], Awaitable[None]]

WATCHING = frozenset({"/health", "/metrics", "/version"})
"""Routes of those who watch the server: not counted, and answered in a drain as well."""
READY = "/ready"
"""Of a drain's beginning it tells as every other route does, and is not counted either."""

FOR_TEXTS = frozenset({"/v1/chat/completions", "/v1/completions"})
"""Routes whose requests are what the server is there for: availability is that of these."""

REFUSALS = frozenset({429, 503})
DENIALS = frozenset({401, 403})
"""Who may not watch is counted and logged all the same."""
DRAINING = "draining"
UNAVAILABLE = "unavailable"


class Gate:
    """Wraps an ASGI app; what goes through is counted in `counters`, and told to `log`."""

    def __init__(
        self,
        app: AsgiApp,
        draining: Draining,
        counters: HttpCounters,
        log: "RequestLogger | None" = None,
    ) -> None:
        self._app = app
        self._draining = draining
        self._counters = counters
        self._log = log

    async def __call__(self, scope: AsgiMessage, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"]
        if path in WATCHING:
            await self._watch(self._app, scope, receive, send)
        elif path == READY:
            await self._watch(self._pass, scope, receive, send)
        else:
            await self._count(scope, receive, send)

    async def _watch(self, app: AsgiApp, scope: AsgiMessage, receive: Receive, send: Send) -> None:
        call = _Call(self._counters, receive, send)
        try:
            await app(scope, receive, call.send)
        finally:
            if call.status in DENIALS:
                call.close(scope, self._log)

    async def _count(self, scope: AsgiMessage, receive: Receive, send: Send) -> None:
        call = _Call(self._counters, receive, send)
        self._counters.open_requests += 1
        try:
            await self._pass(scope, call.receive, call.send)
        finally:
            self._counters.open_requests -= 1
            call.close(scope, self._log)

    async def _pass(self, scope: AsgiMessage, receive: Receive, send: Send) -> None:
        if self._draining.active:
            scope[ERROR_CODE] = DRAINING
            await _refuse(send, self._draining.retry_after_s)
        else:
            await self._app(scope, receive, send)


class _Call:
    """One request: what the app sends and receives of it passes through here."""

    def __init__(self, counters: HttpCounters, receive: Receive, send: Send) -> None:
        self._counters = counters
        self._receive = receive
        self._send = send
        self._began_at_s = time.monotonic()
        self.status: int | None = None
        self._streams = False
        self._complete = False
        self._left = False

    async def receive(self) -> AsgiMessage:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self._leave()
        return message

    async def send(self, message: AsgiMessage) -> None:
        try:
            await self._send(message)
        except OSError:
            self._leave()
            raise
        if message["type"] == "http.response.body":
            if not message.get("more_body", False):
                self._complete = True
        elif message["type"] == "http.response.start":
            self.status = int(message["status"])
            self._streams = _is_stream(message)
            if self._streams:
                self._counters.on_stream_opened()

    def close(self, scope: AsgiMessage, log: "RequestLogger | None") -> None:
        """The app is done with it."""
        if self._streams:
            self._counters.on_stream_closed()
            # The server has given its client up.
            self._leave()
        if log is not None:
            log.log(scope, self.status, self._began_at_s, aborted=self._left)
        if self.status is None:
            return
        # The route that took it, by its pattern: paths are the clients' to choose.
        route = getattr(scope.get("route"), "path", None)
        self._counters.on_answered(route, scope["method"], self.status)
        if scope["method"] == "POST" and scope["path"] in FOR_TEXTS:
            broken, code = BROKEN_OFF in scope, scope.get(ERROR_CODE)
            if broken or not self._left:
                over_quota = code == RATE_LIMIT_EXCEEDED
                self._counters.on_text_asked(self.status, broken=broken, over_quota=over_quota)
        if self.status in REFUSALS:
            self._counters.on_rejected(scope.get(ERROR_CODE) or UNAVAILABLE)

    def _leave(self) -> None:
        """The client has gone; after the whole answer that is no abort."""
        if not (self._complete or self._left):
            self._left = True
            self._counters.on_client_gone()


def _is_stream(start: AsgiMessage) -> bool:
    return any(
        name.lower() == b"content-type" and value.startswith(b"text/event-stream")
        for name, value in start.get("headers", ())
    )


async def _refuse(send: Send, retry_after_s: int) -> None:
    """503, as OpenAI words its errors."""
    error = {
        "message": "the server is about to end, and takes no new requests",
        "type": "service_unavailable_error",
        "param": None,
        "code": DRAINING,
    }
    body = json.dumps({"error": error}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"retry-after", str(retry_after_s).encode()),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": body})
