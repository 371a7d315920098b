"""The API's description, generated from the structs that requests are decoded into."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import msgspec

from .context import VERSION
from .schema.chat import ChatChunk, ChatCompletion, ChatRequest
from .schema.completions import PROMPT_SCHEMA, Completion, CompletionRequest
from .schema.service import ErrorAnswer, Health, ModelCard, ModelList, VersionAnswer
from .schema.tokenization import (
    DetokenizeAnswer,
    DetokenizeRequest,
    TokenizeAnswer,
    TokenizeRequest,
)

JSON, EVENTS, TEXT = "application/json", "text/event-stream", "text/plain"
_REFS = "#/components/schemas/{name}"


@dataclass(frozen=True, slots=True)
class Operation:
    """A route: what comes in, what goes out, which errors it may answer with."""

    method: str
    path: str
    summary: str
    answer: type[msgspec.Struct] | None
    body: type[msgspec.Struct] | None = None
    chunk: type[msgspec.Struct] | None = None
    errors: Sequence[int] = ()
    kind: str = JSON


_GUARDED = (401, 403)
"""Of every route."""
_TEXT_ERRORS = (400, 404, 408, 413, 429, 500, 503)

OPERATIONS = (
    Operation(
        "post",
        "/v1/chat/completions",
        "Answer a conversation",
        ChatCompletion,
        ChatRequest,
        ChatChunk,
        _TEXT_ERRORS,
    ),
    Operation(
        "post",
        "/v1/completions",
        "Continue texts",
        Completion,
        CompletionRequest,
        Completion,
        _TEXT_ERRORS,
    ),
    Operation("get", "/v1/models", "The models served", ModelList, errors=(503,)),
    Operation("get", "/v1/models/{model}", "One of them", ModelCard, errors=(404, 503)),
    Operation(
        "post", "/tokenize", "Cut a text", TokenizeAnswer, TokenizeRequest, None, _TEXT_ERRORS
    ),
    Operation(
        "post",
        "/detokenize",
        "Put tokens together",
        DetokenizeAnswer,
        DetokenizeRequest,
        None,
        _TEXT_ERRORS,
    ),
    Operation("get", "/tokenizer_info", "The tokenizer's configuration", None, errors=(500, 503)),
    Operation("get", "/health", "Whether an engine serves", Health, errors=(503,)),
    Operation("get", "/ready", "Whether requests are taken", Health, errors=(503,)),
    Operation("get", "/version", "prodtop's version", VersionAnswer),
    Operation("get", "/metrics", "What was counted, for Prometheus", None, kind=TEXT),
    Operation("get", "/openapi.json", "This description", None),
)

_ERROR_TEXTS = {
    400: "the request is wrong",
    401: "an API key is needed, and this is none",
    403: "no key is asked for, and the request is of another host",
    404: "the model is not served",
    408: "the body did not come in time",
    413: "the body is too large",
    429: "too much is in flight, or the client has used up its share: Retry-After says when",
    500: "the server failed",
    503: "no engine serves, or the server is stopping",
}


@cache
def openapi_document() -> dict[str, object]:
    """The whole document."""
    kinds: list[type[msgspec.Struct]] = [ErrorAnswer]
    for each in OPERATIONS:
        kinds += [kind for kind in (each.answer, each.body, each.chunk) if kind is not None]
    _, schemas = msgspec.json.schema_components(kinds, ref_template=_REFS)
    # What the structs' types cannot say.
    schemas[CompletionRequest.__name__]["properties"]["prompt"] = PROMPT_SCHEMA
    paths: dict[str, dict[str, object]] = {}
    for each in OPERATIONS:
        paths.setdefault(each.path, {})[each.method] = _operation(each)
    return {
        "openapi": "3.1.0",
        "info": {"title": "prodtop", "version": VERSION},
        "paths": paths,
        "components": {"schemas": schemas},
    }


def _operation(each: Operation) -> dict[str, object]:
    good: dict[str, object] = {
        "description": "the answer",
        "content": {each.kind: {"schema": _schema(each.answer, each.kind)}}
        | ({EVENTS: {"schema": _events_schema(each.chunk)}} if each.chunk else {}),
    }
    responses = {"200": good} | {
        str(status): {
            "description": _ERROR_TEXTS[status],
            "content": {JSON: {"schema": _schema(ErrorAnswer)}},
        }
        for status in sorted({*each.errors, *_GUARDED})
    }
    operation: dict[str, object] = {"summary": each.summary, "responses": responses}
    if each.body is not None:
        operation["requestBody"] = {
            "required": True,
            "content": {JSON: {"schema": _schema(each.body)}},
        }
    if "{model}" in each.path:
        operation["parameters"] = [
            {"name": "model", "in": "path", "required": True, "schema": {"type": "string"}}
        ]
    return operation


def _events_schema(chunk: type[msgspec.Struct]) -> dict[str, object]:
    """Of one event: its data is a chunk, or an error, or `[DONE]` at the end."""
    told = {
        "type": "string",
        "contentMediaType": JSON,
        "contentSchema": {"anyOf": [_schema(chunk), _schema(ErrorAnswer)]},
    }
    data = {"anyOf": [{"const": "[DONE]"}, told]}
    return {"type": "object", "properties": {"data": data}, "required": ["data"]}


def _schema(kind: type[msgspec.Struct] | None, media: str = JSON) -> dict[str, object]:
    if media == TEXT:
        return {"type": "string"}
    return {"type": "object"} if kind is None else {"$ref": _REFS.format(name=kind.__name__)}
