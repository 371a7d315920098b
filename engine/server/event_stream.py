"""A streamed answer: server-sent events, written as pieces come, watched for a client that goes.

No event has an `id:`: after one, clients take every blank line for an event. Comments keep a
connection alive while nothing comes. It ends with `[DONE]`, after an error too.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from .choice_text import Piece, join_pieces
from .disconnects import disconnected, end_tasks
from .errors import WHAT_ENDS_GENERATION, as_api_error
from .generation import DISCONNECTED, Choice, Generation
from .limits import Limits
from .scope_keys import ABORT_CONNECTION, BROKEN_OFF
from .writers import Writer, event

SLOW = "slow reader"
_DONE = b"data: [DONE]\n\n"
_COMMENT = b": keep-alive\n\n"
_HEADERS = {"cache-control": "no-cache", "x-accel-buffering": "no"}


class EventStream(Response):
    """Streams what `writer` makes of a generation, which it owns from now on.

    `streams` says whether text goes out as it comes; else each choice's goes out at its end.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        generation: Generation,
        writer: Writer,
        limits: Limits,
        streams: Callable[[], bool],
    ) -> None:
        self.status_code = 200
        self.background = None
        self.init_headers(_HEADERS)
        self._generation = generation
        self._writer = writer
        self._limits = limits
        self._streams = streams
        self._held: dict[int, list[Piece]] = {}
        self._begun = self._ended = False
        self._sending_since_s: float | None = None
        self._sent_at_s = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        writing = asyncio.create_task(self._write(scope, receive, send))
        watching = asyncio.create_task(self._watch(receive, send))
        reason = "aborted"
        try:
            await asyncio.wait({writing, watching}, return_when=asyncio.FIRST_COMPLETED)
            if writing.done():
                reason = "failed"
                writing.result()
            else:
                reason = watching.result()
        except OSError:
            # The connection broke within a write.
            reason = DISCONNECTED
        finally:
            self._generation.abort(reason)
            self._generation.close()
            await end_tasks(writing, watching)
        if reason == SLOW and (abort := scope.get(ABORT_CONNECTION)) is not None:
            # Closing would wait for the client to read what was written.
            abort()

    async def _write(self, scope: Scope, receive: Receive, send: Send) -> None:
        pieces = self._generation.pieces()
        first = asyncio.create_task(_next(pieces))
        try:
            await asyncio.wait({first}, timeout=self._limits.first_output_s)
            if not first.done():
                await self._begin(send)
            found = await first
            if not self._begun:
                await self._begin(send)
            await self._push(found, send)
            async for choice_and_piece in pieces:
                await self._push(choice_and_piece, send)
            if last := self._writer.last_events():
                await self._send(send, last)
        except WHAT_ENDS_GENERATION as error:
            await self._fail(error, scope, receive, send)
        # A defect: the client is told, and the server's log gets it.
        except Exception as error:
            await self._fail(error, scope, receive, send)
            raise
        finally:
            await end_tasks(first)
            await pieces.aclose()
        await self._finish(send)

    async def _push(self, found: tuple[Choice, Piece], send: Send) -> None:
        choice, piece = found
        if piece.finish_reason is None and not self._streams():
            self._held.setdefault(choice.index, []).append(piece)
            return
        held = self._held.pop(choice.index, None)
        whole = piece if held is None else join_pieces([*held, piece])
        if data := self._writer.events(choice, whole):
            await self._send(send, data)

    async def _begin(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        # The head goes out with the first bytes of the body.
        self._begun = True
        self._sent_at_s = time.monotonic()

    async def _send(self, send: Send, data: bytes) -> None:
        self._sending_since_s = time.monotonic()
        await send({"type": "http.response.body", "body": data, "more_body": True})
        self._sending_since_s = None
        self._sent_at_s = time.monotonic()

    async def _fail(self, error: Exception, scope: Scope, receive: Receive, send: Send) -> None:
        failure = as_api_error(error)
        if self._begun:
            scope[BROKEN_OFF] = True
            await self._send(send, event(failure.answer))
            await self._finish(send)
        elif not self._ended:
            self._ended = True
            await failure.response()(scope, receive, send)

    async def _finish(self, send: Send) -> None:
        if self._ended:
            return
        self._ended = True
        await send({"type": "http.response.body", "body": _DONE, "more_body": False})

    async def _watch(self, receive: Receive, send: Send) -> str:
        """Keep the connection alive; returns why nobody waits for the answer any more."""
        leaving = asyncio.create_task(disconnected(receive))
        limits = self._limits
        try:
            while True:
                await asyncio.wait({leaving}, timeout=limits.keep_alive_s / 3)
                if leaving.done():
                    return DISCONNECTED
                now_s = time.monotonic()
                since_s = self._sending_since_s
                if since_s is not None:
                    if now_s - since_s > limits.slow_reader_s:
                        return SLOW
                elif self._is_silent(now_s):
                    await self._send(send, _COMMENT)
        finally:
            await end_tasks(leaving)

    def _is_silent(self, now_s: float) -> bool:
        idle_s = now_s - self._sent_at_s
        return self._begun and not self._ended and idle_s >= self._limits.keep_alive_s


def _next(
    pieces: AsyncIterator[tuple[Choice, Piece]],
) -> Coroutine[object, object, tuple[Choice, Piece]]:
    async def take() -> tuple[Choice, Piece]:
        return await anext(pieces)

    return take()
