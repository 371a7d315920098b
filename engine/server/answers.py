"""Answers of plain JSON."""

import msgspec
from starlette.responses import Response


def json_response(answer: msgspec.Struct | dict[str, object], status: int = 200) -> Response:
    """`answer` as JSON."""
    return Response(msgspec.json.encode(answer), status, media_type="application/json")
