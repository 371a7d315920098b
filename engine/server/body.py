"""Reading a request's body: bounded, and decoded into what a route expects."""

import asyncio
import re
from typing import TypeVar

import msgspec
from starlette.requests import ClientDisconnect, Request

from .context import Context
from .errors import ApiError, bad_request
from .scope_keys import BODY

BodyType = TypeVar("BodyType", bound=msgspec.Struct)

_PLACE = re.compile(r" - at `(?:key` in `|value` in `)?\$\.?([^`]*)`$")
_MISSING = re.compile(r"missing required field `([^`]+)`")


async def read_body(request: Request, kind: type[BodyType], context: Context) -> BodyType:
    """The body as a `kind`.

    Raises `ApiError`: 413 for more bytes than a body may have, 408 for one that does not come, 400
    for what is no JSON, or has a field of another type or out of its range.
    """
    try:
        async with asyncio.timeout(context.limits.body_s):
            data = await _read(request, context.limits.body_bytes)
    except TimeoutError as error:
        headers = {"connection": "close"}
        raise ApiError(408, "the body did not come in time", headers=headers) from error
    if context.options.operations.log.prompts:
        request.scope[BODY] = data
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.ValidationError as error:
        raise _invalid(str(error)) from error
    # A text that is no UTF-8 is a plain ValueError, as is what is no JSON.
    except (msgspec.DecodeError, ValueError) as error:
        raise bad_request(f"the body is not JSON: {error}", code="invalid_json") from error
    except RecursionError as error:
        raise bad_request("the body is nested too deeply", code="invalid_json") from error


async def _read(request: Request, most_bytes: int) -> bytes:
    too_large = ApiError(413, f"the body is larger than {most_bytes} bytes")
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > most_bytes:
        raise too_large
    data = bytearray()
    try:
        async for piece in request.stream():
            data += piece
            if len(data) > most_bytes:
                raise too_large
    except ClientDisconnect as error:
        raise ApiError(499, "the client has gone") from error
    return bytes(data)


def _invalid(text: str) -> ApiError:
    """What msgspec found, in words, with the field by its path (`messages[0].role`)."""
    place, missing = _PLACE.search(text), _MISSING.search(text)
    what = text[: place.start()] if place else text
    path = place[1] if place else ""
    if missing:
        path = f"{path}.{missing[1]}" if path else missing[1]
        return bad_request(f"`{path}` is missing", path)
    if what.startswith("Expected `null`"):
        return bad_request(f"`{path}` is not supported", path, "unsupported_parameter")
    if not path:
        return bad_request(what)
    return bad_request(f"`{path}`: {what[0].lower()}{what[1:]}", path)
