"""A conversation as it came, made into what the model's chat template reads."""

import json
from collections.abc import Mapping, Sequence

import msgspec

from ..text.chat_template import ChatMessage
from .errors import bad_request
from .schema.chat import ContentPart, Message
from .schema.tools import Tool, ToolCall


def chat_messages(messages: Sequence[Message]) -> list[ChatMessage]:
    """The turns. OpenAI's `developer` is the system by another name.

    Raises `ApiError` (400) for a part that is no text.
    """
    return [
        ChatMessage(
            role="system" if message.role == "developer" else message.role,
            content=_text(message.content, f"messages[{place}].content"),
            tool_calls=tuple(map(_call, message.tool_calls or ())),
            tool_call_id=message.tool_call_id,
            name=message.name,
        )
        for place, message in enumerate(messages)
    ]


def template_tools(tools: Sequence[Tool] | None) -> list[Mapping[str, object]]:
    """Tools as templates write them down."""
    return [
        {"type": "function", "function": msgspec.to_builtins(tool.function)} for tool in tools or ()
    ]


def _text(content: str | list[ContentPart] | None, param: str) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    texts: list[str] = []
    for place, part in enumerate(content):
        if part.type != "text":
            raise bad_request(
                f"a content of type {part.type[:60]!r} is not supported, only text",
                f"{param}[{place}]",
                "unsupported_content",
            )
        if part.text is None:
            raise bad_request(f"`{param}[{place}].text` is missing", f"{param}[{place}].text")
        texts.append(part.text)
    return "\n".join(texts)


def _call(call: ToolCall) -> Mapping[str, object]:
    """A call that is sent back. Templates write arguments down as JSON themselves."""
    return {
        "id": call.id,
        "type": "function",
        "function": {"name": call.function.name, "arguments": _arguments(call.function.arguments)},
    }


def _arguments(text: str) -> object:
    try:
        return json.loads(text) if text.strip() else {}
    # What a length cut off is no JSON: the template gets the text.
    except (ValueError, RecursionError):
        return text
