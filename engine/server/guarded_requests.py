"""What guards do to a request on its way to the engine. Without guards, nothing."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar

import msgspec
from starlette.requests import Request

from ..text.chat_template import ChatMessage
from .answer_review import AnswerReview
from .context import Context
from .errors import CONTENT_FILTER, ApiError, bad_request
from .generation import Asked, Generation
from .guarding import Guarding, refused_prompt
from .guards.findings import Flag, Outcome, flags_of
from .guards.review_items import NewItem
from .prompt_perplexity import NAME as PERPLEXITY
from .prompt_perplexity import PerplexityFailedError, PerplexityGuard
from .request_id import request_id
from .sampling import stop_strings
from .schema.chat import ChatRequest
from .schema.common import GenerationBody
from .schema.completions import CompletionRequest
from .scope_keys import KEY_ID

BodyT = TypeVar("BodyT", ChatRequest, CompletionRequest)


def guarded_body(body: BodyT, context: Context) -> BodyT:
    """The body without logprobs where answers are guarded: they would tell of every token.

    Raises `ApiError` (400) where the tokens themselves are asked for.
    """
    if context.guarding is None or not context.guarding.guards_outputs:
        return body
    if body.return_token_ids:
        raise bad_request(
            "`return_token_ids` is not served where answers are guarded", "return_token_ids"
        )
    return msgspec.structs.replace(body, logprobs=None)


def check_sizes(body: GenerationBody, most: int | None, prompts: int, context: Context) -> None:
    """Raise `ApiError` (400) for a request over a limit; `prompts` are the tokens of the longest
    one, `most` the tokens that it asks for."""
    if context.guarding is not None:
        context.guarding.check_sizes(
            prompt_tokens=prompts,
            max_tokens=most,
            n=body.n or 1,
            stop=len(stop_strings(body)),
        )


def default_length(default: int | None, context: Context) -> int | None:
    """The most tokens of an answer whose request does not say it, within the limit."""
    limit = None if context.guarding is None else context.guarding.limits.max_tokens
    given = [length for length in (default, limit) if length is not None]
    return min(given, default=None)


@dataclass(slots=True)
class PromptNotes:
    """What is known of a request while its prompts are judged, and what they were flagged for."""

    client: str
    request_id: str
    flags: list[Flag] = field(default_factory=list)

    @staticmethod
    def of(request: Request) -> "PromptNotes":
        """Those of a request."""
        return PromptNotes(client_id(request), request_id(request))


def start(
    request: Request, asked: Sequence[Asked], context: Context, notes: PromptNotes
) -> Generation:
    """Submit what is asked, if its client may. Raises `ApiError` (429) and `EngineDownError`."""
    guarding = context.guarding
    if guarding is None:
        return Generation.start(context.link, asked)
    settle = guarding.admit(client_id(request), asked)
    review = None
    if guarding.reviewing is not None:
        review = AnswerReview(guarding.reviewing, notes.request_id, notes.flags)
    return Generation.start(context.link, asked, settle, review)


def client_id(request: Request) -> str:
    """Whose limits hold: the API key's, where keys are checked, else the client's address.

    A token that nobody checks is not looked at: with a new one each time there were no limit.
    """
    key = request.scope.get(KEY_ID)
    if isinstance(key, str):
        return f"key {key}"
    return f"address {request.client.host if request.client is not None else ''}"


async def guard_texts(
    texts: Sequence[str],
    param: str,
    context: Context,
    notes: PromptNotes,
    *,
    redacts: bool = True,
) -> list[str]:
    """Texts of a prompt as they may be tokenized: redacted, where that is to be done.

    Judged beside the event loop; what they are flagged for is noted. Raises `ApiError`: 400 where
    one is blocked, or would have to be redacted and cannot be (`redacts`), 429 where its client has
    sent too many of those.
    """
    guarding = context.guarding
    if guarding is None:
        return list(texts)
    passed = list(texts)
    try:
        if guarding.guards_prompts:
            verdicts = await context.in_thread(guarding.judge, texts)
            passed = guarding.passed(texts, verdicts, param, redacts=redacts)
            for text, verdict in zip(passed, verdicts, strict=True):
                _note_flags(text, flags_of(verdict.findings), guarding, notes)
        if guarding.perplexity is not None:
            await _judge_perplexity(passed, param, guarding, guarding.perplexity, context, notes)
    except ApiError as error:
        if error.code == CONTENT_FILTER:
            guarding.charge_blocked(notes.client)
        raise
    return passed


async def _judge_perplexity(
    texts: Sequence[str],
    param: str,
    guarding: Guarding,
    guard: PerplexityGuard,
    context: Context,
    notes: PromptNotes,
) -> None:
    serving = context.serving()
    tokenizer = await context.tokenizer(serving)
    encode = partial(tokenizer.encode, add_special_tokens=False)
    for text in filter(None, texts):
        try:
            outcome, reasons = await guard.judge(text, encode, context.link, serving)
        except PerplexityFailedError as error:
            guarding.counts.failures[PERPLEXITY] += 1
            if guard.settings.on_failure == "closed":
                raise ApiError(500, f"the guard {PERPLEXITY!r} failed") from error
            continue
        guarding.counts.add_asked(PERPLEXITY, outcome)
        if outcome is Outcome.BLOCK:
            raise refused_prompt(param, PERPLEXITY)
        _note_flags(text, [Flag(PERPLEXITY, reason) for reason in reasons], guarding, notes)


def _note_flags(text: str, flags: Sequence[Flag], guarding: Guarding, notes: PromptNotes) -> None:
    """Remember why a prompt is to be looked at, and put it into the queue."""
    notes.flags += flags
    if flags and guarding.reviewing is not None:
        item = NewItem(
            request_id=notes.request_id,
            kind="prompt",
            text=text,
            guard=flags[0].guard,
            rule=flags[0].rule,
        )
        guarding.reviewing.note(item)


async def guard_turns(
    turns: Sequence[ChatMessage], beside: Sequence[object], context: Context, notes: PromptNotes
) -> list[ChatMessage]:
    """The turns of a conversation, each redacted by itself.

    What else the template writes down (`beside`, names, calls that are sent back) is refused
    where it would have to be redacted. Raises `ApiError` (400).
    """
    contents = await guard_texts([turn.content for turn in turns], "messages", context, notes)
    others = [[turn.role, turn.name, turn.tool_call_id, turn.tool_calls] for turn in turns]
    named = "\n".join(_strings([*others, *beside]))
    await guard_texts([named] if named else [], "messages", context, notes, redacts=False)
    return [replace(turn, content=content) for turn, content in zip(turns, contents, strict=True)]


def _strings(value: object) -> list[str]:
    """All texts and numbers in JSON, keys too, in their order; without recursion, as it may be
    deep."""
    found: list[str] = []
    left = [value]
    while left:
        each = left.pop()
        if isinstance(each, str):
            found.append(each)
        elif isinstance(each, dict):
            left += [part for item in reversed(each.items()) for part in reversed(item)]
        elif isinstance(each, list | tuple):
            left += reversed(each)
        elif each is not None:
            found.append(str(each))
    return found
