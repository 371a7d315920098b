"""Tools: functions that a model may call, and its calls."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from .common import Body, JsonObject

FunctionName = Annotated[str, Meta(pattern=r"^[a-zA-Z0-9_.-]+$", min_length=1, max_length=128)]


class FunctionDescription(Body, frozen=True, kw_only=True, omit_defaults=True):
    """A function; `parameters` is a JSON schema of an object."""

    name: FunctionName
    description: str | None = None
    parameters: JsonObject | None = None
    strict: bool | None = None


class Tool(Body, frozen=True, kw_only=True):
    """A tool. There are no other ones than functions."""

    type: Literal["function"]
    function: FunctionDescription


class FunctionChoice(Body, frozen=True, kw_only=True):
    """Which function must be called."""

    name: FunctionName


class NamedTool(Body, frozen=True, kw_only=True):
    """The one tool that must be called."""

    type: Literal["function"]
    function: FunctionChoice


ToolChoice = Literal["none", "auto", "required"] | NamedTool


class FunctionCall(msgspec.Struct, frozen=True, kw_only=True):
    """A call; `arguments` are JSON, as a text."""

    name: str
    arguments: str


class ToolCall(msgspec.Struct, frozen=True, kw_only=True):
    """A call of a tool, in an answer and when it is sent back."""

    id: str
    type: Literal["function"] = "function"
    function: FunctionCall


class ToolCallDelta(msgspec.Struct, frozen=True, kw_only=True):
    """A call in a chunk, whole; `index` counts the calls of a choice."""

    index: int
    id: str
    type: Literal["function"] = "function"
    function: FunctionCall
