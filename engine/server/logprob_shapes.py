"""Logprobs in the shapes that clients read: a chat's, a completion's, and vLLM's of prompts."""

from collections.abc import Callable, Iterable, Sequence

from msgspec import structs

from ..protocol.served import TokenLogprob
from .schema.chat import ChatLogprob, ChatLogprobs, TopLogprob
from .schema.common import PromptLogprob, PromptLogprobs
from .schema.completions import CompletionLogprobs
from .tokenizers import ServedTokenizer

_LEAST = -9999.0
"""In place of minus infinity, which JSON has not, as vLLM does."""

TokenText = Callable[[int], str]


def token_texts(tokenizer: ServedTokenizer, *, as_ids: bool) -> TokenText:
    """How a token is written: as its text, or as `token_id:42`.

    One that is no whole characters is written as its bytes, as OpenAI's completions do, so that
    two of them differ.
    """

    def text(token_id: int) -> str:
        if as_ids:
            return f"token_id:{token_id}"
        data = tokenizer.token_bytes(token_id)
        try:
            return data.decode()
        except UnicodeDecodeError:
            return "bytes:" + "".join(f"\\x{byte:02x}" for byte in data)

    return text


def chat_logprobs(
    logprobs: Iterable[TokenLogprob], tokenizer: ServedTokenizer, text: TokenText
) -> ChatLogprobs:
    """Those of generated tokens."""

    def one(token_id: int, logprob: float) -> TopLogprob:
        data = list(tokenizer.token_bytes(token_id))
        return TopLogprob(token=text(token_id), logprob=_finite(logprob), bytes=data)

    content = [
        ChatLogprob(
            token=text(each.token_id),
            logprob=_finite(each.logprob),
            bytes=list(tokenizer.token_bytes(each.token_id)),
            top_logprobs=[one(*top) for top in each.top],
        )
        for each in logprobs
    ]
    return ChatLogprobs(content=content)


def completion_logprobs(
    token_ids: Sequence[int],
    logprobs: Sequence[TokenLogprob | None],
    text_offsets: Sequence[int],
    text: TokenText,
) -> CompletionLogprobs:
    """Those of tokens `[tokens]`; a prompt's first has none. The likeliest include the token."""
    return CompletionLogprobs(
        tokens=[text(token_id) for token_id in token_ids],
        token_logprobs=[None if each is None else _finite(each.logprob) for each in logprobs],
        top_logprobs=[_top(each, text) for each in logprobs],
        text_offset=list(text_offsets),
    )


def prompt_logprobs(logprobs: Sequence[TokenLogprob], tokenizer: ServedTokenizer) -> PromptLogprobs:
    """vLLM's: for each token of the prompt the likeliest ones and itself, by their ids."""
    shaped: PromptLogprobs = [None]
    for each in logprobs:
        ranked = {
            token_id: (logprob, rank) for rank, (token_id, logprob) in enumerate(each.top, start=1)
        }
        ranked[each.token_id] = (each.logprob, each.rank)
        shaped.append(
            {
                str(token_id): PromptLogprob(
                    logprob=_finite(logprob),
                    rank=rank,
                    decoded_token=tokenizer.token_bytes(token_id).decode("utf-8", "replace"),
                )
                for token_id, (logprob, rank) in ranked.items()
            }
        )
    return shaped


def trimmed(logprobs: Sequence[TokenLogprob], most: int) -> list[TokenLogprob]:
    """With no more than `most` of the likeliest each: another field may have asked for more."""
    return [structs.replace(each, top=each.top[:most]) for each in logprobs]


def _top(each: TokenLogprob | None, text: TokenText) -> dict[str, float] | None:
    if each is None:
        return None
    top = {text(token_id): _finite(logprob) for token_id, logprob in each.top}
    return top | {text(each.token_id): _finite(each.logprob)}


def _finite(logprob: float) -> float:
    return max(logprob, _LEAST)
