"""uvicorn's HTTP connections within bounds: how long a head may be, how late, how many at once.

httptools has none: it joins a header that never ends, and waits for it for ever.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from .errors import ApiError
from .http_counters import HttpCounters
from .scope_keys import ABORT_CONNECTION

if TYPE_CHECKING:
    from collections.abc import MutableMapping

TOO_MANY_CONNECTIONS: Final = "too_many_connections"
_RETRY_AFTER_S: Final = 1
_REASONS: Final = {
    400: b"Bad Request",
    408: b"Request Timeout",
    431: b"Request Header Fields Too Large",
    503: b"Service Unavailable",
}


@dataclass(frozen=True, slots=True)
class ConnectionBounds:
    """A head of more bytes gets 431, one that is not whole after `head_s` 408; a connection above
    the most 503. `head_bytes` are of the target and all fields; the same holds for what stands
    between the chunks of a body and after it."""

    connections: int
    head_bytes: int = 64 << 10
    head_s: float = 30.0


def bounded_protocol(bounds: ConnectionBounds, counters: HttpCounters) -> type[asyncio.Protocol]:
    """What uvicorn makes a connection of."""
    make: Callable[..., asyncio.Protocol] = partial(
        _BoundedProtocol, bounds=bounds, counters=counters
    )
    # uvicorn calls it, and asks nothing else of it.
    return cast("type[asyncio.Protocol]", make)


class _HeadTooLargeError(Exception):
    """Ends the parsing of a head; httptools gives it on as an error of its own."""


class _BoundedProtocol(HttpToolsProtocol):
    """One connection."""

    def __init__(
        self,
        *args: Any,  # noqa: ANN401  # uvicorn's own
        bounds: ConnectionBounds,
        counters: HttpCounters,
        **kwargs: Any,  # noqa: ANN401  # the same
    ) -> None:
        super().__init__(*args, **kwargs)
        self._bounds = bounds
        self._counters = counters
        self._too_large = self._refused = False
        self._field_bytes = 0
        """Of the target and the fields of this request, as far as they are whole."""
        self._unparsed_bytes = 0
        """What came since the last byte of a body, or whole head: of what is not whole."""
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn does
        super().connection_made(transport)
        if len(self.connections) > self._bounds.connections:
            self._counters.on_rejected(TOO_MANY_CONNECTIONS)
            self._refuse(503, "too many connections are open", TOO_MANY_CONNECTIONS)
        else:
            self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        self._unparsed_bytes += len(data)
        super().data_received(data)
        if self._refused or self.transport.is_closing():
            return
        if self._unparsed_bytes > self._bounds.head_bytes:
            self._too_large = True
            self.send_400_response("")
        elif self.cycle is None or self.cycle.response_complete:
            self._await_head()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no request, and close."""
        if self._too_large:
            most = self._bounds.head_bytes
            self._refuse(431, f"the request's head has more than {most} bytes")
        else:
            self._refuse(400, msg)

    # httptools's callbacks

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._field_bytes = 0
        scope = cast("MutableMapping[str, object]", self.scope)
        scope[ABORT_CONNECTION] = self.transport.abort

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._unparsed_bytes = 0
        self._stop_timer()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._unparsed_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._unparsed_bytes = 0
        super().on_message_complete()

    # Bounds

    def _count(self, number: int) -> None:
        self._field_bytes += number
        if self._field_bytes > self._bounds.head_bytes:
            self._too_large = True
            raise _HeadTooLargeError

    def _await_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self._bounds.head_s, self._give_up_head)

    def _give_up_head(self) -> None:
        self._head_timer = None
        if not self.transport.is_closing():
            self._refuse(408, "the request's head did not come in time")

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _refuse(self, status: int, message: str, code: str | None = None) -> None:
        """The last answer of this connection, given before there is a request to answer."""
        self._refused = True
        self._stop_timer()
        if self.transport.is_closing():
            return
        if self._may_answer():
            body = ApiError(status, message, code=code).body()
            self.transport.write(
                b"HTTP/1.1 %d %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\n"
                b"%sconnection: close\r\n\r\n%s"
                % (
                    status,
                    _REASONS[status],
                    len(body),
                    b"retry-after: %d\r\n" % _RETRY_AFTER_S if status == 503 else b"",
                    body,
                )
            )
        # Else another answer is on its way: whoever sends such a thing behind it loses both.
        self.transport.close()

    def _may_answer(self) -> bool:
        cycle = self.cycle
        under_way = cycle is not None and cycle.response_started and not cycle.response_complete
        return not (self.pipeline or under_way)
