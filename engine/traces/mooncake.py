"""Lines of Mooncake's JSONL traces, read and written.

A line has `timestamp` in ms, `input_length`, `output_length` and `hash_ids`: one for each 512
tokens of the prompt and one for the rest, over these tokens and all before them. Source:
kvcache-ai/Mooncake, `FAST25-release/traces`. Lines without `hash_ids` are read as well.
"""

from collections.abc import Sequence

import msgspec

from .rows import LineError, Row, checked

BLOCK_TOKENS = 512
"""Tokens that one hash id stands for."""


class _Line(msgspec.Struct, frozen=True):
    timestamp: float
    input_length: int
    output_length: int
    hash_ids: list[int | str] | None = None


_DECODER = msgspec.json.Decoder(_Line)


def read_line(line: bytes) -> Row:
    """One line. Raises `LineError`."""
    try:
        read = _DECODER.decode(line)
    # Malformed JSON, another type, text that is not UTF-8, brackets that nest too deeply.
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise LineError(f"cannot be read: {error}") from None
    row = checked(Row(read.timestamp / 1e3, read.input_length, read.output_length, read.hash_ids))
    most = -(-row.prompt_tokens // BLOCK_TOKENS)
    if row.hash_ids is not None and len(row.hash_ids) > most:
        raise LineError(
            f"has {len(row.hash_ids)} hash ids for a prompt of {row.prompt_tokens} tokens, which"
            f" has {most} blocks of {BLOCK_TOKENS}"
        )
    return row


def write_line(
    timestamp_ms: int, prompt_tokens: int, output_tokens: int, hash_ids: Sequence[int]
) -> bytes:
    """One line, with its end."""
    line = {
        "timestamp": timestamp_ms,
        "input_length": prompt_tokens,
        "output_length": output_tokens,
        "hash_ids": list(hash_ids),
    }
    return msgspec.json.encode(line) + b"\n"
