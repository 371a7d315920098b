"""A server process with one route of its own, for tests of what lies between it and the worker.

`POST /generate` takes a `Submit` as JSON, and answers a line of JSON for each output as it comes;
the last line of a request that failed has an `error`. Its first line is empty: it was submitted.
"""

import sys
import time
from collections.abc import AsyncIterator

import msgspec
from prodtop.engine.protocol.child_process import channel_fd_of, die_with_parent
from prodtop.engine.protocol.served import EngineMetrics, Submit
from prodtop.engine.protocol.server_options import ServerOptions
from prodtop.engine.server.engine_link import EngineDownError, EngineLink, RefusedError
from prodtop.engine.server.http_counters import HttpCounters
from prodtop.engine.server.link import WorkerLink
from prodtop.engine.server.main import main
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route


def create_app(link: EngineLink, _options: ServerOptions) -> Starlette:
    async def generate(request: Request) -> Response:
        fields = msgspec.json.decode(await request.body())
        wanted = msgspec.convert({"key": 0, "arrival_at_s": time.monotonic(), **fields}, Submit)
        try:
            stream = link.submit(wanted)
        except EngineDownError as error:
            return JSONResponse({"error": str(error)}, 503)

        async def lines() -> AsyncIterator[bytes]:
            yield b"\n"
            try:
                async for output in stream:
                    yield msgspec.json.encode(output) + b"\n"
            except (EngineDownError, RefusedError) as error:
                told = {"error": str(error), "kind": type(error).__name__}
                if isinstance(error, RefusedError):
                    told["param"] = error.param or ""
                yield msgspec.json.encode(told) + b"\n"
            finally:
                stream.abort("client left")

        return StreamingResponse(lines(), media_type="text/event-stream")

    async def serving(_request: Request) -> Response:
        return Response(msgspec.json.encode(link.serving))

    async def metrics(_request: Request) -> Response:
        told: EngineMetrics | None = await link.metrics()
        return Response(msgspec.json.encode(told))

    async def in_flight(_request: Request) -> Response:
        return JSONResponse([link.in_flight, link.in_flight_tokens])

    async def lose(_request: Request) -> Response:
        """Close this end of the link, as where the other one broke the protocol."""
        assert isinstance(link, WorkerLink)
        link.lose()
        return JSONResponse([])

    app = Starlette(
        routes=[
            Route("/generate", generate, methods=["POST"]),
            Route("/serving", serving),
            Route("/metrics", metrics),
            Route("/in_flight", in_flight),
            Route("/lose", lose),
        ]
    )
    app.state.http_counters = HttpCounters()
    return app


if __name__ == "__main__":
    die_with_parent(channel_fd_of(sys.argv))
    sys.exit(main(create_app))
