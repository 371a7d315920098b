"""From a request's fields to how tokens are chosen: what is not given has its default."""

from typing import TypeVar

from ..protocol.served import SamplingSpec, Serving
from .errors import bad_request
from .schema.common import GenerationBody

Number = TypeVar("Number", int, float)

_SEEDS = 2**63
DEFAULT_TEMPERATURE = 1.0
"""OpenAI's and vLLM's."""


def sampling_spec(
    body: GenerationBody, serving: Serving, grammar: str | None, choice: int
) -> SamplingSpec:
    """The spec of one of `n` choices, each with a seed of its own.

    Raises `ApiError` (400) for a bias of what is no token.
    """
    bias = body.logit_bias or {}
    check_token_ids(list(bias), serving, "logit_bias")
    top_p, top_k = _or(body.top_p, 1.0), max(_or(body.top_k, 0), 0)
    if top_p == 0:
        # The least set of tokens that has any probability: the likeliest one.
        top_p, top_k = 1.0, 1
    return SamplingSpec(
        temperature=_or(body.temperature, DEFAULT_TEMPERATURE),
        top_p=top_p,
        top_k=top_k,
        min_p=_or(body.min_p, 0.0),
        seed=None if body.seed is None else (body.seed + choice) % _SEEDS,
        presence_penalty=_or(body.presence_penalty, 0.0),
        frequency_penalty=_or(body.frequency_penalty, 0.0),
        repetition_penalty=_or(body.repetition_penalty, 1.0),
        logit_bias=bias,
        min_tokens=_or(body.min_tokens, 0),
        grammar=grammar,
    )


def check_token_ids(token_ids: list[int], serving: Serving, param: str) -> None:
    """Raise `ApiError` (400) where one is outside the model's vocabulary."""
    if token_ids and not (min(token_ids) >= 0 and max(token_ids) < serving.vocabulary):
        raise bad_request(f"`{param}` has an id outside 0 … {serving.vocabulary - 1}", param)


def stop_strings(body: GenerationBody) -> tuple[str, ...]:
    """Its stop strings; one may be given as itself."""
    stop = body.stop
    return () if stop is None else (stop,) if isinstance(stop, str) else tuple(stop)


def longest_answer(serving: Serving, prompt_tokens: int) -> int:
    """The most tokens that can follow a prompt: what context and KV cache leave.

    The last token generated needs no place in the cache. At most 0 where there is no room.
    """
    return min(serving.context_tokens, serving.kv_tokens + 1) - prompt_tokens


def _or(value: Number | None, default: Number) -> Number:
    return default if value is None else value
