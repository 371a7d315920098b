"""The JSON that a model must write where a tool has to be called.

For one named tool: its arguments. Where any must be called: a list of names and parameters.
"""

from collections.abc import Sequence

from .errors import bad_request
from .schema.chat import ChatRequest
from .schema.common import JsonObject
from .schema.tools import NamedTool, Tool

_DEFINITIONS = ("$defs", "definitions")


def named_tool(body: ChatRequest) -> str | None:
    """The name of the one tool that must be called, if one must."""
    return body.tool_choice.function.name if isinstance(body.tool_choice, NamedTool) else None


def offered_tools(body: ChatRequest) -> list[Tool]:
    """The tools that the model may call.

    Raises `ApiError` (400) for two of one name, and where a call is asked for that cannot be.
    """
    tools = body.tools or []
    names = [tool.function.name for tool in tools]
    if len(set(names)) < len(names):
        raise bad_request("two of the tools have one name", "tools")
    name = named_tool(body)
    if name is not None and name not in names:
        raise bad_request(f"there is no tool {name!r} to call", "tool_choice")
    if body.tool_choice in ("required", "auto") and not tools:
        raise bad_request("`tool_choice` needs `tools`", "tool_choice")
    return [] if body.tool_choice == "none" else tools


def forced_tool_schema(body: ChatRequest) -> JsonObject | None:
    """The schema of what the model must write; `None` where it need not call."""
    tools = offered_tools(body)
    name = named_tool(body)
    if name is not None:
        return next(_parameters(tool) for tool in tools if tool.function.name == name)
    if body.tool_choice != "required":
        return None
    schema: JsonObject = {
        "type": "array",
        "minItems": 1,
        "items": {"anyOf": [_call(tool) for tool in tools]},
        **_definitions(tools),
    }
    return schema | ({"maxItems": 1} if body.parallel_tool_calls is False else {})


def _parameters(tool: Tool) -> JsonObject:
    return tool.function.parameters or {"type": "object", "properties": {}}


def _call(tool: Tool) -> JsonObject:
    parameters = {k: v for k, v in _parameters(tool).items() if k not in _DEFINITIONS}
    return {
        "type": "object",
        "properties": {"name": {"const": tool.function.name}, "parameters": parameters},
        "required": ["name", "parameters"],
        "additionalProperties": False,
    }


def _definitions(tools: Sequence[Tool]) -> JsonObject:
    """What the tools' schemas refer to, from the root: there `#/$defs/…` finds it."""
    found: dict[str, JsonObject] = {}
    for tool in tools:
        for key in _DEFINITIONS:
            values = _parameters(tool).get(key)
            for name, schema in values.items() if isinstance(values, dict) else ():
                if found.setdefault(key, {}).setdefault(name, schema) != schema:
                    raise bad_request(f"two tools define {name!r} in their own ways", "tools")
    return dict(found)
