"""GET /metrics: what the engine and the server have counted, for Prometheus."""

from starlette.requests import Request
from starlette.responses import Response

from .context import context_of
from .http_counters import HttpCounters
from .prometheus import metrics_response


async def read_metrics(request: Request) -> Response:
    """Everything that is exported, as of now; the engine's part is missing before there is one."""
    context = context_of(request)
    engine = await context.link.metrics()
    if context.guarding is not None:
        await context.guarding.refresh()
    counters: HttpCounters = request.app.state.http_counters
    body, kind = metrics_response(
        engine, counters, request.headers.get("accept"), context.guarding, context.rates
    )
    return Response(body, headers={"content-type": kind})
