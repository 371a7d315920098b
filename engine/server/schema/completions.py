"""POST /v1/completions: what is asked and what is answered."""

from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from .common import (
    AnswerMetrics,
    ChoiceCount,
    GenerationBody,
    LogprobCount,
    PromptLogprobs,
    TokenCount,
    Usage,
)

PROMPT_SCHEMA = {
    "anyOf": [
        {"type": "string", "minLength": 1},
        {"type": "array", "minItems": 1, "items": {"type": "string", "minLength": 1}},
        {"type": "array", "minItems": 1, "items": {"type": "integer", "minimum": 0}},
        {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "array",
                "minItems": 1,
                "items": {"type": "integer", "minimum": 0},
            },
        },
    ]
}

"""What msgspec's own schema cannot say: that a list holds values of one kind."""

PromptField = str | list[str | int | list[int]]


class CompletionRequest(GenerationBody, frozen=True, kw_only=True):
    """A text, several, token ids, or several lists of them, to be continued."""

    prompt: PromptField
    max_tokens: TokenCount | None = None
    max_completion_tokens: TokenCount | None = None
    logprobs: LogprobCount | None = None
    best_of: ChoiceCount | None = None
    echo: bool | None = None
    suffix: None = None


class CompletionLogprobs(msgspec.Struct, frozen=True, kw_only=True):
    """Side by side for each token. A prompt's first token has no logprob."""

    tokens: list[str]
    token_logprobs: list[float | None]
    top_logprobs: list[dict[str, float] | None]
    text_offset: list[int]


CompletionFinishReason = Literal["stop", "length", "content_filter"]


class CompletionChoice(msgspec.Struct, frozen=True, kw_only=True):
    """One text. `stop_reason` is the stop string or token id that ended it."""

    index: int
    text: str
    logprobs: CompletionLogprobs | None
    finish_reason: CompletionFinishReason | None
    stop_reason: int | str | None = None
    prompt_logprobs: PromptLogprobs | UnsetType = UNSET
    token_ids: list[int] | UnsetType = UNSET
    prompt_token_ids: list[int] | UnsetType = UNSET


class Completion(msgspec.Struct, frozen=True, kw_only=True):
    """A whole answer, and each chunk of a streamed one; `usage` is in the last chunk, if at all."""

    id: str
    object: Literal["text_completion"] = "text_completion"
    created: int
    model: str
    system_fingerprint: str
    choices: list[CompletionChoice]
    usage: Usage | UnsetType = UNSET
    metrics: AnswerMetrics | UnsetType = UNSET
