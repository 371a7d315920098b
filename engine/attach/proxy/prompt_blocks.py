"""Prompts as blocks of 512 tokens whose tokenizer is not known: which of them are alike, no text.

A block of a trace stands for 512 tokens. Where a prompt is text, nobody here knows where its 512th
token ends: text is cut after as many bytes as 512 tokens of it take on average, measured by the
first answers that tell how many tokens their prompts had, and the same from then on, so that equal
beginnings are cut alike. Text is the JSON of the request: tools, roles and messages.
"""

from array import array
from collections.abc import Sequence
from hashlib import blake2b

from ...traces.mooncake import BLOCK_TOKENS

GUESSED_BYTES_PER_TOKEN = 4.0
"""Of English text, roughly: taken where no answer tells of tokens."""
_LEAST_BYTES_PER_TOKEN, _MOST_BYTES_PER_TOKEN = 1.0, 16.0


def bytes_per_token(text_bytes: int, tokens: int) -> float:
    """How much text a token stands for, by what was seen; a guess where nothing was."""
    if not tokens:
        return GUESSED_BYTES_PER_TOKEN
    return min(max(text_bytes / tokens, _LEAST_BYTES_PER_TOKEN), _MOST_BYTES_PER_TOKEN)


def text_chain(text: bytes, token_bytes: float, key: bytes) -> list[bytes]:
    """A hash for each block of a text, over it and all before it.

    `key` is drawn anew for each recording: without it nobody can try texts against the hashes.
    """
    size = max(1, round(BLOCK_TOKENS * token_bytes))
    return _chain([text[at : at + size] for at in range(0, len(text), size)], key)


def token_chain(token_ids: Sequence[int], key: bytes) -> list[bytes]:
    """The same of a prompt that came as tokens."""
    starts = range(0, len(token_ids), BLOCK_TOKENS)
    blocks = [token_ids[at : at + BLOCK_TOKENS] for at in starts]
    return _chain([array("q", block).tobytes() for block in blocks], key)


def fitted(chain: Sequence[bytes], tokens: int, key: bytes) -> list[bytes]:
    """The chain of a prompt of `tokens` tokens, with one hash for each 512 of them.

    The last hash stands for the whole prompt. Where the text is longer or shorter than average,
    blocks before it are left out, or such follow that no other prompt has.
    """
    blocks = -(-tokens // BLOCK_TOKENS)
    if not chain or not blocks:
        return []
    *leading, whole = chain
    rest = blocks - 1 - len(leading)
    own = [
        blake2b(bytes([1]) + whole + n.to_bytes(4), key=key, digest_size=16) for n in range(rest)
    ]
    return [*leading[: blocks - 1], *(each.digest() for each in own), whole]


def _chain(blocks: Sequence[bytes], key: bytes) -> list[bytes]:
    hashes: list[bytes] = []
    for block in blocks:
        parent = hashes[-1] if hashes else b""
        hashes.append(_hash(parent + block, key))
    return hashes


def _hash(content: bytes, key: bytes) -> bytes:
    return blake2b(content, key=key, digest_size=16).digest()
