"""POST /v1/chat/completions: what is asked and what is answered."""

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from .common import (
    AnswerMetrics,
    Body,
    GenerationBody,
    JsonObject,
    LogprobCount,
    PromptLogprobs,
    Usage,
)
from .tools import Tool, ToolCall, ToolCallDelta, ToolChoice

AnswerLength = Annotated[int, Meta(ge=1, le=2**31 - 1)]


class ContentPart(Body, frozen=True, kw_only=True):
    """A part of a message: text alone is read, and others are refused by their type."""

    type: Annotated[str, Meta(extra_json_schema={"enum": ["text"]})]
    text: str | None = None


class Message(Body, frozen=True, kw_only=True):
    """A turn of a conversation."""

    role: Annotated[str, Meta(min_length=1, max_length=64)]
    content: str | list[ContentPart] | None = None
    name: str | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None


class ChatRequest(GenerationBody, frozen=True, kw_only=True):
    """A conversation, to be continued by the assistant."""

    messages: Annotated[list[Message], Meta(min_length=1)]
    max_tokens: AnswerLength | None = None
    max_completion_tokens: AnswerLength | None = None
    logprobs: bool | None = None
    top_logprobs: LogprobCount | None = None
    tools: Annotated[list[Tool], Meta(max_length=256)] | None = None
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    chat_template_kwargs: JsonObject | None = None
    add_generation_prompt: bool | None = None
    modalities: list[Literal["text"]] | None = None
    audio: None = None
    functions: None = None
    function_call: None = None


class TopLogprob(msgspec.Struct, frozen=True, kw_only=True):
    """One of the likeliest tokens in a place. A token need not be whole characters: see `bytes`."""

    token: str
    logprob: float
    bytes: list[int]


class ChatLogprob(msgspec.Struct, frozen=True, kw_only=True):
    """A generated token, and the likeliest in its place."""

    token: str
    logprob: float
    bytes: list[int]
    top_logprobs: list[TopLogprob]


class ChatLogprobs(msgspec.Struct, frozen=True, kw_only=True):
    """Logprobs of an answer's tokens."""

    content: list[ChatLogprob]


class AnswerMessage(msgspec.Struct, frozen=True, kw_only=True):
    """The assistant's turn. `content` is null where it did nothing but call."""

    role: Literal["assistant"] = "assistant"
    content: str | None
    refusal: None = None
    annotations: list[None] = []
    tool_calls: list[ToolCall] | UnsetType = UNSET


ChatFinishReason = Literal["stop", "length", "tool_calls", "content_filter"]


class ChatChoice(msgspec.Struct, frozen=True, kw_only=True):
    """One answer. `stop_reason` is the stop string or token id that ended it."""

    index: int
    message: AnswerMessage
    logprobs: ChatLogprobs | None
    finish_reason: ChatFinishReason
    stop_reason: int | str | None = None
    token_ids: list[int] | UnsetType = UNSET


class ChatCompletion(msgspec.Struct, frozen=True, kw_only=True):
    """A whole answer."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    system_fingerprint: str
    choices: list[ChatChoice]
    usage: Usage
    prompt_logprobs: PromptLogprobs | UnsetType = UNSET
    prompt_token_ids: list[int] | UnsetType = UNSET
    metrics: AnswerMetrics | UnsetType = UNSET


class ChatDelta(msgspec.Struct, frozen=True, kw_only=True):
    """What a chunk adds to a turn."""

    role: Literal["assistant"] | UnsetType = UNSET
    content: str | UnsetType = UNSET
    tool_calls: list[ToolCallDelta] | UnsetType = UNSET


class ChatChunkChoice(msgspec.Struct, frozen=True, kw_only=True):
    """What a chunk adds to one answer."""

    index: int
    delta: ChatDelta
    logprobs: ChatLogprobs | None = None
    finish_reason: ChatFinishReason | None = None
    stop_reason: int | str | UnsetType | None = UNSET
    token_ids: list[int] | UnsetType = UNSET


class ChatChunk(msgspec.Struct, frozen=True, kw_only=True):
    """A chunk of a streamed answer."""

    id: str
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    created: int
    model: str
    system_fingerprint: str
    choices: list[ChatChunkChoice]
    usage: Usage | UnsetType = UNSET
    prompt_token_ids: list[int] | UnsetType = UNSET
    metrics: AnswerMetrics | UnsetType = UNSET
