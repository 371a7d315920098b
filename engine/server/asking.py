"""From a checked body and its prompts to what the engine is asked, one request for each choice."""

from collections.abc import Callable, Sequence

from starlette.requests import Request

from ..protocol.served import Serving, Submit
from .admission import Slot
from .choice_text import ChoiceText
from .context import Context, created_s, fingerprint
from .errors import CONTEXT_LENGTH_EXCEEDED, bad_request
from .generation import Asked
from .grammars import grammar_of
from .guards.answer_entropy import AnswerEntropy
from .guards.stream import StreamGuard
from .request_id import arrival_at_s, request_id
from .sampling import check_token_ids, longest_answer, sampling_spec, stop_strings
from .schema.chat import ChatRequest
from .schema.common import MOST_CHOICES, GenerationBody
from .tokenizers import ServedTokenizer
from .writers import Head

METRICS_HEADER = "x-prodtop-metrics"
_GRAMMAR_FIELDS = (
    "response_format",
    "structured_outputs",
    "guided_json",
    "guided_regex",
    "guided_choice",
    "guided_grammar",
)


def check_body(body: GenerationBody, serving: Serving) -> None:
    """Raise `ApiError` (400) for fields that exclude each other, or name what is no token."""
    if body.stream_options is not None and not body.stream:
        raise bad_request("`stream_options` needs `stream`", "stream_options")
    if body.prompt_logprobs is not None and body.stream:
        raise bad_request("`prompt_logprobs` are not streamed", "prompt_logprobs")
    check_token_ids(body.stop_token_ids or [], serving, "stop_token_ids")


def check_room(asked: int | None, body: GenerationBody, slot: Slot, serving: Serving) -> None:
    """Raise `ApiError` where there is no room for the answers alone, as far as their lengths are
    given: before a prompt is tokenized. A length above the context is told as that, later."""
    if asked is not None and asked <= serving.context_tokens:
        slot.check(asked * (body.n or 1), serving)


def take_room(asked: Sequence[Asked], slot: Slot, serving: Serving) -> None:
    """Take the room of all texts among those in flight. Raises `ApiError` where there is none."""
    tokens = sum(len(each.submit.prompt_tokens) + each.submit.max_tokens for each in asked)
    slot.take(len(asked), tokens, serving)


async def read_grammar(body: GenerationBody, context: Context) -> str | None:
    """The grammar that a body asks for, made beside the event loop. Raises `ApiError` (400)."""
    asked = any(getattr(body, name) is not None for name in _GRAMMAR_FIELDS)
    if isinstance(body, ChatRequest):
        asked = asked or body.tool_choice is not None or bool(body.tools)
    return await context.in_thread(grammar_of, body) if asked else None


def answer_length(
    asked: int | None, default: int | None, prompt_tokens: int, min_tokens: int, serving: Serving
) -> int:
    """The most tokens of an answer: those asked for, or by default what there is room for.

    Raises `ApiError` (400) where there is no room, or less than `min_tokens`.
    """
    room = longest_answer(serving, prompt_tokens)
    wanted = (room if default is None else min(default, room)) if asked is None else asked
    if wanted > room or (asked is None and room < 1):
        raise bad_request(
            f"this model's maximum context length is {serving.context_tokens} tokens, but "
            f"{prompt_tokens} in the prompt and {max(wanted, 1)} in the answer were asked for"
            f" (there is room for {serving.kv_tokens} in the KV cache)",
            "max_tokens",
            CONTEXT_LENGTH_EXCEEDED,
        )
    if min_tokens > wanted:
        raise bad_request(f"`min_tokens` is {min_tokens}, above the {wanted} allowed", "min_tokens")
    return wanted


def ask(
    request: Request,
    body: GenerationBody,
    serving: Serving,
    tokenizer: ServedTokenizer,
    prompts: Sequence[tuple[list[int], int]],
    *,
    grammar: str | None,
    logprobs: int | None,
    prompt_logprobs: int | None,
    guard: Callable[[], StreamGuard | None],
    entropy: Callable[[int | None], AnswerEntropy | None],
) -> list[Asked]:
    """What to ask for: `n` choices of each prompt, given as its ids and the most tokens after it.
    `guard` makes the guard of each text, `entropy` what measures how uncertain the model was of it,
    beside the `logprobs` that are told.

    Raises `ApiError` (400) for more choices than any request may have.
    """
    n = body.n or 1
    if len(prompts) * n > MOST_CHOICES:
        raise bad_request(f"more than {MOST_CHOICES} texts in one request", "n")
    stops = stop_strings(body)
    asked: list[Asked] = []
    for place, (token_ids, max_tokens) in enumerate(prompts):
        for choice in range(n):
            measured = entropy(logprobs)
            submit = Submit(
                key=0,
                prompt_tokens=token_ids,
                max_tokens=max_tokens,
                sampling=sampling_spec(body, serving, grammar, choice),
                stop_token_ids=body.stop_token_ids or [],
                ignore_eos=body.ignore_eos is True,
                logprobs=logprobs if measured is None else measured.asked,
                prompt_logprobs=prompt_logprobs,
                may_stop=bool(stops),
                arrival_at_s=arrival_at_s(request),
            )
            text = ChoiceText(
                tokenizer.stream(),
                stops,
                include_stop=body.include_stop_str_in_output is True,
                min_tokens=body.min_tokens or 0,
                guard=guard(),
                entropy=measured,
            )
            asked.append(Asked(place, submit, text))
    return asked


def head_of(request: Request, body: GenerationBody, serving: Serving, prefix: str) -> Head:
    """The head of an answer: its id is the request's."""
    header = request.headers.get(METRICS_HEADER, "").strip().lower() == "true"
    return Head(
        id=f"{prefix}-{request_id(request)}",
        created=created_s(),
        model=serving.model,
        system_fingerprint=fingerprint(serving),
        metrics=header or body.include_metrics is True,
    )
