"""The engine as the server sees it: requests go over a link to the worker, tokens come back."""

from collections.abc import AsyncIterator
from typing import Protocol

from ..protocol.errors import ProdtopError
from ..protocol.served import EngineMetrics, Output, Serving, Submit


class EngineDownError(ProdtopError):
    """There is no worker: it loads, died, or was ended. The request may be sent again later."""


class RefusedError(ProdtopError):
    """The engine cannot serve a request; `param` is the field of `Submit` at fault, if one is."""

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


class RequestStream(Protocol):
    """One request on its way. Its outputs are iterated once, to one with a `finish_reason`.

    Iterating raises `RefusedError`, or `EngineDownError` where the worker goes away.
    """

    def __aiter__(self) -> AsyncIterator[Output]: ...

    def stop(self, output_tokens: int) -> None:
        """A stop string was found after so many tokens: ends the request as finished."""
        ...

    def abort(self, reason: str) -> None:
        """Nobody waits for it any more. Does nothing once it has ended."""
        ...


class EngineLink(Protocol):
    """The link that the HTTP routes use. All calls are made on the event loop's thread."""

    @property
    def serving(self) -> Serving | None:
        """What is served now; `None` while there is no worker that serves."""
        ...

    @property
    def in_flight(self) -> int:
        """Requests that were submitted and have not ended."""
        ...

    @property
    def in_flight_tokens(self) -> int:
        """Their prompts' tokens and the most that they may generate."""
        ...

    def submit(self, request: Submit) -> RequestStream:
        """Send a request on its way; its `key` is replaced. Raises `EngineDownError`."""
        ...

    async def metrics(self) -> EngineMetrics | None:
        """All counters now, those of workers before included; `None` before the first worker."""
        ...
