"""The API's description: every route is in it, and it says of bodies what is really taken."""

import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from api_harness import saying, scripted
from asgi_client import Json
from prodtop.engine.server.app import ROUTES
from prodtop.engine.server.openapi import OPERATIONS, openapi_document
from prodtop.engine.server.schema.chat import ChatRequest
from prodtop.engine.server.schema.common import AnswerMetrics
from prodtop.engine.server.schema.completions import CompletionRequest

DOCUMENT: Json = openapi_document()


def references(value: Json) -> Iterator[str]:
    """Everything that a part of the document refers to."""
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for each in value.values():
            yield from references(each)
    elif isinstance(value, list):
        for each in value:
            yield from references(each)


async def test_it_is_served() -> None:
    api, _ = scripted(saying("x"))
    assert (await api.get("/openapi.json")).json() == DOCUMENT


def test_every_route_is_described() -> None:
    described = {
        (path.replace("{model}", "{model:path}"), method.upper())
        for path, each in DOCUMENT["paths"].items()
        for method in each
    }
    assert described == {
        (route.path, method) for route in ROUTES for method in (route.methods or set()) - {"HEAD"}
    }
    assert len(OPERATIONS) == len(ROUTES)


def test_every_reference_leads_somewhere() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    found = set(references(DOCUMENT))
    assert found
    assert {name.rpartition("/")[2] for name in found} <= set(schemas)


@pytest.mark.parametrize("kind", [CompletionRequest, ChatRequest])
def test_a_body_is_described_by_its_own_fields(kind: type[msgspec.Struct]) -> None:
    schema = DOCUMENT["components"]["schemas"][kind.__name__]
    fields = msgspec.structs.fields(kind)
    assert set(schema["properties"]) == {field.encode_name for field in fields}
    assert schema["required"] == [field.encode_name for field in fields if field.required]
    assert "additionalProperties" not in schema


def test_bounds_are_described() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    assert {"type": "number", "minimum": 0, "maximum": 2} in (
        schemas["ChatRequest"]["properties"]["temperature"]["anyOf"]
    )
    kinds = [
        each.get("items", {}).get("type")
        for each in schemas["CompletionRequest"]["properties"]["prompt"]["anyOf"]
    ]
    assert kinds == [None, "string", "integer", "array"]
    assert schemas["ContentPart"]["properties"]["type"]["enum"] == ["text"]


def test_the_manual_names_every_field_and_route() -> None:
    manual = (Path(__file__).parents[3] / "docs" / "serve.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([a-z0-9_]+)`", manual))
    fields = {
        field.name
        for kind in (CompletionRequest, ChatRequest)
        for field in msgspec.structs.fields(kind)
    }
    assert fields - {"prompt"} <= named
    times = {field.name for field in msgspec.structs.fields(AnswerMetrics)}
    assert times <= named
    assert all(each.path.replace("{model}", "NAME") in manual for each in OPERATIONS)
