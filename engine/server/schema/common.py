"""Fields that requests for text share, as OpenAI and vLLM name them. Unknown fields are ignored.

A field whose type is `None` is refused by name: its meaning cannot be given, and to ignore it would
change an answer without a word.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

MOST_LOGPROBS = 20
MOST_CHOICES = 1024
"""Of one request: its prompts times `n`."""

Probability = Annotated[float, Meta(ge=0, le=1)]
Penalty = Annotated[float, Meta(ge=-2, le=2)]
Temperature = Annotated[float, Meta(ge=0, le=2)]
LogprobCount = Annotated[int, Meta(ge=0, le=MOST_LOGPROBS)]
ChoiceCount = Annotated[int, Meta(ge=1, le=128)]
TokenCount = Annotated[int, Meta(ge=0, le=2**31 - 1)]
TokenId = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Seed = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
StopString = Annotated[str, Meta(min_length=1, max_length=256)]
StopStrings = Annotated[list[StopString], Meta(max_length=32)]
Bias = Annotated[float, Meta(ge=-100, le=100)]
JsonObject = dict[str, Annotated[object, Meta(extra_json_schema={"description": "JSON"})]]


class Body(msgspec.Struct, frozen=True, kw_only=True):
    """The JSON object that a request has, or a part of it."""


class StreamOptions(Body, frozen=True, kw_only=True):
    """`include_usage`: a last chunk with the usage and no choices; the other: usage in each."""

    include_usage: bool | None = None
    continuous_usage_stats: bool | None = None


class JsonSchemaFormat(Body, frozen=True, kw_only=True):
    """A named JSON schema. Answers follow it always: `strict` changes nothing."""

    schema: JsonObject
    name: str | None = None
    description: str | None = None
    strict: bool | None = None


class ResponseFormat(Body, frozen=True, kw_only=True):
    """What a text must be: anything, a JSON object, or JSON that follows a schema."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchemaFormat | None = None


class StructuredOutputs(Body, frozen=True, kw_only=True):
    """vLLM's way to say what a text must be: exactly one of these."""

    json: str | JsonObject | None = None
    json_object: bool | None = None
    regex: str | None = None
    choice: Annotated[list[str], Meta(min_length=1, max_length=4096)] | None = None
    grammar: str | None = None


class GenerationBody(Body, frozen=True, kw_only=True):
    """What completions and chats have in common."""

    model: str | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: ChoiceCount | None = None

    temperature: Temperature | None = None
    top_p: Probability | None = None
    top_k: Annotated[int, Meta(ge=-1, le=2**31 - 1)] | None = None
    min_p: Probability | None = None
    seed: Seed | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    repetition_penalty: Annotated[float, Meta(gt=0, le=100)] | None = None
    logit_bias: dict[int, Bias] | None = None

    min_tokens: TokenCount | None = None
    stop: StopString | StopStrings | None = None
    stop_token_ids: Annotated[list[TokenId], Meta(max_length=1024)] | None = None
    ignore_eos: bool | None = None
    include_stop_str_in_output: bool | None = None

    response_format: ResponseFormat | None = None
    structured_outputs: StructuredOutputs | None = None
    guided_json: str | JsonObject | None = None
    guided_regex: str | None = None
    guided_choice: Annotated[list[str], Meta(min_length=1, max_length=4096)] | None = None
    guided_grammar: str | None = None

    add_special_tokens: bool | None = None
    prompt_logprobs: LogprobCount | None = None
    return_token_ids: bool | None = None
    return_tokens_as_token_ids: bool | None = None
    include_metrics: bool | None = None


class PromptTokensDetails(msgspec.Struct, frozen=True):
    """`cached_tokens`: those whose keys and values came from the prefix cache."""

    cached_tokens: int


class CompletionTokensDetails(msgspec.Struct, frozen=True):
    """Reasoning is part of the text here: none is counted apart."""

    reasoning_tokens: int = 0


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens of an answer. A prompt counts once, however many choices it has."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokensDetails | None
    completion_tokens_details: CompletionTokensDetails = CompletionTokensDetails()


class AnswerMetrics(msgspec.Struct, frozen=True, kw_only=True):
    """How long an answer took on the engine's clock; a figure that there is none of is null.

    Of several choices: from the first to arrive to the last to end.
    """

    time_to_first_token_ms: float | None
    generation_time_ms: float | None
    queue_time_ms: float | None
    mean_itl_ms: float | None
    tokens_per_second: float | None
    e2e_latency_ms: float | None


class PromptLogprob(msgspec.Struct, frozen=True, kw_only=True):
    """A token of a prompt, or one of the likeliest in its place, as vLLM has it."""

    logprob: float
    rank: int
    decoded_token: str


PromptLogprobs = list[dict[str, PromptLogprob] | None]
"""For each token of a prompt, by token ids as texts; none for the first one."""
