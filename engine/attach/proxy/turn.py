"""One request and its answer on a connection, and who measures it."""

from typing import Protocol

import msgspec

from .exchange import Exchange
from .framing import Body
from .heads import HeadError, RequestHead

_REASONS = {
    400: b"Bad Request",
    403: b"Forbidden",
    408: b"Request Timeout",
    431: b"Request Header Fields Too Large",
    501: b"Not Implemented",
    502: b"Bad Gateway",
    503: b"Service Unavailable",
    505: b"HTTP Version Not Supported",
}


class Watch(Protocol):
    """Who measures what passes."""

    def begin(self, head: RequestHead, arrival_at_s: float) -> Exchange | None:
        """A request came; `None` where it is none that is measured."""

    def on_sent(self, exchange: Exchange, at_s: float) -> None:
        """All of it went on."""

    def on_content(self, exchange: Exchange, content: list[bytes], at_s: float) -> None:
        """A part of its answer came and was passed on."""

    def end(self, exchange: Exchange, at_s: float, failure: str | None = None) -> None:
        """It ended."""


class Turn:
    """A request and its answer, as far as they have passed."""

    __slots__ = ("answered", "begun", "body", "exchange", "head", "request_body")

    def __init__(self, head: RequestHead, exchange: Exchange | None) -> None:
        self.head = head
        self.exchange = exchange
        self.request_body = Body(head.framing)
        self.body: Body | None = None
        """Of the answer, once its head has come."""
        self.begun = False
        """Bytes of the answer went to the client."""
        self.answered = False


def own_answer(error: HeadError) -> bytes:
    """The proxy's own answer to what it does not pass on: the last one of a connection."""
    message = {"message": error.reason, "type": "prodtop_proxy", "code": error.status}
    body = msgspec.json.encode({"error": message})
    return (
        b"HTTP/1.1 %d %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\n"
        b"connection: close\r\n\r\n%s" % (error.status, _REASONS[error.status], len(body), body)
    )
