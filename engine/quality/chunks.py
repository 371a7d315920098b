"""A text as chunks of tokens to be scored, cut as llama.cpp and lm-eval cut it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from ..protocol.errors import BadInputError
from ..text.tokenizer import Tokenizer

_PIECE_CHARACTERS = 50_000
"""A long text is encoded in pieces, cut at line ends: an encoder has a time limit a text."""


@dataclass(frozen=True, slots=True)
class ScoredChunk:
    """Tokens to run through a model: those from `first` on are predicted, each by those before."""

    tokens: list[int]
    first: int

    @property
    def scored(self) -> int:
        return len(self.tokens) - self.first


def encode_text(tokenizer: Tokenizer, text: str) -> list[int]:
    """The token ids of a text, without any that a prompt begins or ends with."""
    begin, end = _additions(tokenizer)
    ids: list[int] = []
    for piece in _pieces(text):
        found = tokenizer.encode(piece)
        ids += found[len(begin) : len(found) - len(end)]
    return ids


def beginning(tokenizer: Tokenizer) -> list[int]:
    """What a prompt begins with: a beginning of sequence, or nothing."""
    return _additions(tokenizer)[0]


def _additions(tokenizer: Tokenizer) -> tuple[list[int], list[int]]:
    """What is put before and behind the tokens of a prompt: what an empty one consists of."""
    empty, probe = tokenizer.encode(""), tokenizer.encode("a")
    for before in range(len(empty), -1, -1):
        behind = len(empty) - before
        if probe[:before] == empty[:before] and probe[len(probe) - behind :] == empty[before:]:
            return empty[:before], empty[before:]
    return [], []


def _pieces(text: str) -> list[str]:
    pieces, piece = [], ""
    for line in text.splitlines(keepends=True):
        if piece and len(piece) + len(line) > _PIECE_CHARACTERS:
            pieces.append(piece)
            piece = ""
        piece += line
    return [*pieces, piece] if piece else pieces


def llama_cpp_chunks(
    ids: Sequence[int], begin: Sequence[int], size: int, most: int | None = None
) -> list[ScoredChunk]:
    """Chunks of `size` tokens, the rest left out. The first token of each is replaced by the
    beginning of sequence where there is one, and the second half is scored.

    Source: llama.cpp, `tools/perplexity`: positions `n_ctx / 2 … n_ctx - 2` predict the next token.

    Raises:
        BadInputError: the text is shorter than two chunks.
    """
    whole = len(ids) // size
    if whole < 2:
        raise BadInputError(
            f"the text has {len(ids)} tokens: perplexity needs at least {2 * size} of them"
        )
    chunks = []
    for start in range(0, size * (whole if most is None else min(whole, max(2, most))), size):
        tokens = list(ids[start : start + size])
        tokens[: len(begin)] = begin
        chunks.append(ScoredChunk(tokens, size // 2 + 1))
    return chunks


def rolling_chunks(ids: Sequence[int], prefix: Sequence[int], longest: int) -> list[ScoredChunk]:
    """Every token of a text scored once, in windows that see `longest` tokens at most.

    Source: lm-eval 0.4.13, `get_rolling_token_windows` with a context of one token: a window's
    first prediction sees the token before it, and the first one of all `prefix`, one token; without
    any, the first token is not scored. Of the last window, which predicts less, the tokens see as
    many before them as there is room for.
    """
    tokens = [*prefix, *ids]
    chunks = []
    for start in range(0, len(tokens) - 1, longest):
        end = min(start + longest, len(tokens) - 1)
        begin = max(0, end - longest) if start else 0
        chunks.append(ScoredChunk(tokens[begin : end + 1], start + 1 - begin))
    return chunks


def prefix_of(tokenizer: Tokenizer, eos_token_ids: Collection[int]) -> list[int]:
    """What the first token of a text is predicted from, as lm-eval has it: the beginning of
    sequence, or an end of sequence where a model has none."""
    return [*beginning(tokenizer), *sorted(eos_token_ids)][:1]
