"""The prompts of a request as token ids, whichever of the four ways they are given in."""

from dataclasses import dataclass

from ..protocol.errors import BadInputError
from ..protocol.served import Serving
from .context import Context
from .errors import CONTEXT_LENGTH_EXCEEDED, ApiError, bad_request
from .guarded_requests import PromptNotes, guard_texts
from .sampling import check_token_ids
from .schema.completions import PromptField
from .tokenizers import ServedTokenizer


@dataclass(frozen=True, slots=True)
class Prompt:
    """Token ids, and the text that they are of; `None` where ids were given."""

    token_ids: list[int]
    text: str | None


async def read_prompts(
    given: PromptField,
    add_special_tokens: bool,
    context: Context,
    serving: Serving,
    notes: PromptNotes,
) -> list[Prompt]:
    """One prompt for each text or list of ids.

    Texts may be redacted by the guards; ids that would have to be are refused; what they
    flag is noted. Raises `ApiError`
    (400): mixed kinds, an empty prompt, one that is too long or blocked, or an id that is no
    token's.
    """
    parts = _parts(given)
    tokenizer = await context.tokenizer(serving)
    texts = [part for part in parts if isinstance(part, str)]
    if texts:
        for text in texts:
            check_chars(len(text), tokenizer, serving, "prompt")
        return [
            Prompt(
                await encode(text, add_special_tokens, tokenizer, context, serving, "prompt"), text
            )
            for text in await guard_texts(texts, "prompt", context, notes)
        ]
    ids = [part for part in parts if not isinstance(part, str)]
    for each in ids:
        check_token_ids(each, serving, "prompt")
        check_fits(each, serving, "prompt")
    if context.guarding is not None:
        decoded = [await context.in_thread(tokenizer.decode, each) for each in ids]
        # Other ids than those that were given are not what was asked for.
        await guard_texts(decoded, "prompt", context, notes, redacts=False)
    return [Prompt(each, None) for each in ids]


def _parts(given: PromptField) -> list[str] | list[list[int]]:
    if isinstance(given, str):
        return [given]
    if not given:
        raise bad_request("`prompt` is an empty list", "prompt")
    texts = [part for part in given if isinstance(part, str)]
    numbers = [part for part in given if isinstance(part, int)]
    lists = [part for part in given if isinstance(part, list)]
    if len(texts) == len(given):
        return texts
    if len(numbers) == len(given):
        return [numbers]
    if len(lists) == len(given):
        return lists
    raise bad_request("`prompt` mixes texts, ids and lists of ids", "prompt")


async def encode(
    text: str,
    add_special_tokens: bool,
    tokenizer: ServedTokenizer,
    context: Context,
    serving: Serving,
    param: str,
) -> list[int]:
    """The ids of a text, made beside the event loop. Raises `ApiError` (400) where it has none, or
    too many. A text that could not fit if each token were the longest is not even cut."""
    check_chars(len(text), tokenizer, serving, param)
    try:
        ids = await context.in_thread(tokenizer.encode, text, add_special_tokens=add_special_tokens)
    except BadInputError as error:
        raise bad_request(str(error), param) from error
    check_fits(ids, serving, param)
    return ids


def check_chars(chars: int, tokenizer: ServedTokenizer, serving: Serving, param: str) -> None:
    """Raise `ApiError` (400) where so many characters fit in no way."""
    if chars > serving.context_tokens * max(tokenizer.longest_token_chars, 1):
        raise _too_long(f"the prompt has {chars} characters", serving, param)


def check_fits(token_ids: list[int], serving: Serving, param: str) -> None:
    """Raise `ApiError` (400) for a prompt that is empty, or larger than the context."""
    if not token_ids:
        raise bad_request("the prompt is empty", param)
    if len(token_ids) > serving.context_tokens:
        raise _too_long(f"the prompt has {len(token_ids)} tokens", serving, param)


def _too_long(what: str, serving: Serving, param: str) -> ApiError:
    return bad_request(
        f"this model's maximum context length is {serving.context_tokens} tokens, but {what}: "
        "shorten it",
        param,
        CONTEXT_LENGTH_EXCEEDED,
    )
