"""GET /health, /ready, /version and /openapi.json: what the server says of itself."""

from starlette.requests import Request
from starlette.responses import Response

from .answers import json_response
from .context import VERSION, context_of
from .openapi import openapi_document
from .schema.service import Health, VersionAnswer


async def health(request: Request) -> Response:
    """Whether an engine serves; 503 while none does, as where vLLM's engine is dead."""
    context_of(request).serving()
    return json_response(Health())


async def ready(request: Request) -> Response:
    """Whether new requests are taken. Once the server stops, none of them comes as far as here."""
    context_of(request).serving()
    return json_response(Health())


async def read_version(request: Request) -> Response:
    """prodtop's version."""
    del request
    return json_response(VersionAnswer(version=VERSION))


async def openapi(request: Request) -> Response:
    """What this API is, as OpenAPI 3.1."""
    del request
    return json_response(openapi_document())
