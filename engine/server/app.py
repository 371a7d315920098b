"""The HTTP application: routes in front of an engine's link."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import BaseRoute, Route

from ..protocol.errors import BadInputError
from ..protocol.server_options import ServerOptions
from .access import KeyGuard, LocalGuard
from .admission import Admission, AdmissionGuard
from .chat_routes import create_chat_completion
from .completions_routes import create_completion
from .context import Context
from .disconnects import end_tasks
from .engine_link import EngineLink
from .errors import WHAT_ENDS_GENERATION, ApiError, answer_error
from .http_counters import HttpCounters
from .limits import Limits
from .metrics_routes import read_metrics
from .models_routes import list_models, read_model
from .request_id import RequestIds
from .service_routes import health, openapi, read_version, ready
from .tokenization_routes import detokenize, tokenize, tokenizer_info

_GET, _POST = ["GET"], ["POST"]
_ANSWERED = (HTTPException, ApiError, BadInputError, *WHAT_ENDS_GENERATION, Exception)
"""Whatever else is raised is a defect: it gets a 500, and the server's log its traceback."""

ROUTES = (
    Route("/v1/chat/completions", create_chat_completion, methods=_POST),
    Route("/v1/completions", create_completion, methods=_POST),
    Route("/v1/models", list_models, methods=_GET),
    Route("/v1/models/{model:path}", read_model, methods=_GET),
    Route("/tokenize", tokenize, methods=_POST),
    Route("/detokenize", detokenize, methods=_POST),
    Route("/tokenizer_info", tokenizer_info, methods=_GET),
    Route("/health", health, methods=_GET),
    Route("/ready", ready, methods=_GET),
    Route("/version", read_version, methods=_GET),
    Route("/metrics", read_metrics, methods=_GET),
    Route("/openapi.json", openapi, methods=_GET),
)


def create_app(
    link: EngineLink,
    options: ServerOptions,
    *,
    limits: Limits | None = None,
    more_routes: Sequence[BaseRoute] = (),
    more_middleware: Sequence[Middleware] = (),
) -> Starlette:
    """The application over `link`. `app.state.context` is its `Context`, and
    `app.state.http_counters` what `/metrics` tells of the server itself.

    `more_routes` are served beside its own; `more_middleware` stands between the
    guards and the routes, the first of it outermost.
    """
    operations = options.operations
    body_bytes = operations.limits.max_body_mib << 20
    context = Context(link, options, limits or Limits(body_bytes=body_bytes))
    # The first to be asked stand first; ids come before, so that every refusal has one.
    guard = (
        Middleware(KeyGuard, operations.key_hashes)
        if operations.key_hashes
        else Middleware(LocalGuard)
    )
    guards = [guard, Middleware(AdmissionGuard, Admission(operations.limits))]

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        del app
        warming = asyncio.create_task(context.warm_up())
        measuring = asyncio.create_task(context.measure_guards())
        yield
        await end_tasks(warming, measuring)
        context.close()

    app = Starlette(
        routes=[*ROUTES, *more_routes],
        middleware=[Middleware(RequestIds), *guards, *more_middleware],
        exception_handlers=dict.fromkeys(_ANSWERED, answer_error),
        lifespan=lifespan,
    )
    app.state.context = context
    app.state.http_counters = HttpCounters()
    return app
