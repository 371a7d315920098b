"""What goes wrong, as clients of OpenAI's API understand it: a status and a nested error."""

from collections.abc import Mapping

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ..protocol.errors import BadInputError
from ..text.cleaning import clean
from .engine_link import EngineDownError, RefusedError
from .request_id import HEADER, request_id
from .schema.service import ErrorAnswer, ErrorDetail
from .scope_keys import ERROR_CODE

CONTEXT_LENGTH_EXCEEDED = "context_length_exceeded"
CONTENT_FILTER = "content_filter"
RETRY_AFTER_S = 1
_LONGEST_MESSAGE = 2000

_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "NotFoundError",
    405: "invalid_request_error",
    408: "invalid_request_error",
    413: "invalid_request_error",
    431: "invalid_request_error",
    429: "rate_limit_error",
    503: "service_unavailable_error",
}
_TOO_LONG = {"prompt_tokens": "prompt", "max_tokens": "max_tokens"}
"""Fields of `Submit` that the engine refuses where a request does not fit, by clients' names."""


class ApiError(Exception):
    """Ends a request with `status`. `param` is the field at fault, `code` what programs look at."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.param = param
        self.code = code
        self.headers = dict(headers or {})

    @property
    def answer(self) -> ErrorAnswer:
        """The body, clean of control characters and of one line."""
        kind = _TYPES.get(self.status, "server_error")
        message = clean(str(self))[:_LONGEST_MESSAGE]
        return ErrorAnswer(
            error=ErrorDetail(message=message, type=kind, param=self.param, code=self.code)
        )

    def response(self) -> Response:
        """The answer to a request that nothing was sent for yet."""
        return Response(self.body(), self.status, self.headers, media_type="application/json")

    def body(self) -> bytes:
        """The answer's bytes."""
        return msgspec.json.encode(self.answer)


class GenerationFailedError(Exception):
    """A request that the engine took and could not finish; `aborted`: it was ended from outside."""

    def __init__(self, message: str, *, aborted: bool = False) -> None:
        super().__init__(message)
        self.aborted = aborted


WHAT_ENDS_GENERATION = (RefusedError, EngineDownError, GenerationFailedError)


def bad_request(message: str, param: str | None = None, code: str | None = None) -> ApiError:
    """A request that can never be served as it is."""
    return ApiError(400, message, param=param, code=code)


def unavailable(message: str) -> ApiError:
    """A request that may be served later."""
    return ApiError(503, message, headers={"retry-after": str(RETRY_AFTER_S)})


def as_api_error(error: Exception) -> ApiError:
    """What the engine or the text's readers raised, as it is told to a client."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, RefusedError):
        if error.param in _TOO_LONG:
            return bad_request(str(error), _TOO_LONG[error.param], CONTEXT_LENGTH_EXCEEDED)
        return bad_request(str(error), error.param)
    if isinstance(error, EngineDownError):
        return unavailable(str(error))
    if isinstance(error, GenerationFailedError):
        return unavailable(str(error)) if error.aborted else ApiError(500, str(error))
    if isinstance(error, BadInputError):
        return bad_request(str(error))
    # Whatever it is, it may quote a prompt: it is told by its kind alone.
    return ApiError(500, f"the server failed ({type(error).__name__})")


async def refuse(error: ApiError, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request by an error before it comes to a route."""
    scope[ERROR_CODE] = error.code
    await error.response()(scope, receive, send)


async def answer_error(request: Request, error: Exception) -> Response:
    """The response to any exception of a route."""
    response = _answer(request, error)
    request.scope[ERROR_CODE] = getattr(error, "code", None)
    # A defect is answered outside of the middleware that adds it.
    response.headers[HEADER] = request_id(request)
    return response


def _answer(request: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException):
        return ApiError(
            error.status_code, _http_text(request, error), headers=error.headers
        ).response()
    return as_api_error(error).response()


def _http_text(request: Request, error: HTTPException) -> str:
    if error.status_code == 404:
        return f"no such route: {request.method} {request.url.path[:200]}"
    if error.status_code == 405:
        return f"{request.method} is not for {request.url.path[:200]}"
    return error.detail
