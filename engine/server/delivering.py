"""How an answer reaches its client: streamed, or whole once all of it is there."""

import asyncio

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from .choice_text import Piece, join_pieces
from .context import Context
from .disconnects import ClientGoneError, unless_disconnected
from .event_stream import EventStream
from .generation import DISCONNECTED, Generation
from .scope_keys import GENERATION
from .writers import Writer

_CLIENT_GONE = 499
"""nginx's status: nobody reads it, but logs do."""


async def deliver(
    request: Request, generation: Generation, writer: Writer, context: Context, *, stream: bool
) -> Response:
    """The response that brings a generation's texts. It ends where its client goes away.

    Raises what ends a generation, where that is told by a status.
    """
    request.scope[GENERATION] = generation
    if stream:
        link = context.link

        def streams() -> bool:
            serving = link.serving
            return serving is None or serving.streams

        return EventStream(generation, writer, context.limits, streams)
    try:
        pieces = await unless_disconnected(request.receive, _collect(generation))
    except ClientGoneError:
        generation.abort(DISCONNECTED)
        return Response(status_code=_CLIENT_GONE)
    except asyncio.CancelledError:
        generation.abort("aborted")
        raise
    except Exception:
        generation.abort("failed")
        raise
    finally:
        generation.close()
    body = msgspec.json.encode(writer.whole(pieces))
    return Response(body, media_type="application/json")


async def _collect(generation: Generation) -> list[Piece]:
    """The whole piece of each choice."""
    found: list[list[Piece]] = [[] for _ in generation.choices]
    async for choice, piece in generation.pieces():
        found[choice.index].append(piece)
    return [join_pieces(pieces) for pieces in found]
