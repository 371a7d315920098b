"""POST /tokenize and /detokenize, as vLLM has them."""

from typing import Annotated

import msgspec
from msgspec import Meta

from .chat import Message
from .common import Body, JsonObject, TokenId
from .tools import Tool


class TokenizeRequest(Body, frozen=True, kw_only=True):
    """A text (`prompt`) or a conversation (`messages`), one of them, to be cut into tokens."""

    model: str | None = None
    prompt: str | None = None
    messages: Annotated[list[Message], Meta(min_length=1)] | None = None
    tools: Annotated[list[Tool], Meta(max_length=256)] | None = None
    add_special_tokens: bool | None = None
    add_generation_prompt: bool | None = None
    chat_template_kwargs: JsonObject | None = None
    return_token_strs: bool | None = None


class TokenizeAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The ids, their number, and on request each as a text."""

    count: int
    max_model_len: int
    tokens: list[int]
    token_strs: list[str] | None = None


class DetokenizeRequest(Body, frozen=True, kw_only=True):
    """Token ids, to be put together."""

    model: str | None = None
    tokens: list[TokenId]


class DetokenizeAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Their text, special tokens included."""

    prompt: str
