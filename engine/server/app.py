"""The HTTP routes."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from ..protocol.server_options import ServerOptions
from .engine_link import EngineLink


def create_app(link: EngineLink, options: ServerOptions) -> Starlette:
    """The app over `link`."""

    async def health(_request: Request) -> Response:
        return PlainTextResponse("", 200 if link.serving is not None else 503)

    return Starlette(routes=[Route("/health", health)])
