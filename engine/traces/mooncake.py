"""Lines of Mooncake's JSONL traces, read and written.

A line has `timestamp` in ms, `input_length`, `output_length` and `hash_ids`: one for each 512
tokens of the prompt and one for the rest, over these tokens and all before them. Source:
kvcache-ai/Mooncake, `FAST25-release/traces`. Lines without `hash_ids` are read as well.

Ours may have three fields more, which others do not read: `ttft_ms` and `e2e_ms`, as the request's
client had them, and `cached_length`, the tokens of its prompt that the server took from a cache.
"""

import math
from collections.abc import Sequence

import msgspec

from .rows import UNTIMED, LineError, Row, Timing, checked

BLOCK_TOKENS = 512
"""Tokens that one hash id stands for."""


class _Line(msgspec.Struct, frozen=True):
    timestamp: float
    input_length: int
    output_length: int
    hash_ids: list[int | str] | None = None
    ttft_ms: float | None = None
    e2e_ms: float | None = None
    cached_length: int | None = None


_DECODER = msgspec.json.Decoder(_Line)


def read_line(line: bytes) -> Row:
    """One line. Raises `LineError`."""
    try:
        read = _DECODER.decode(line)
    # Malformed JSON, another type, text that is not UTF-8, brackets that nest too deeply.
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise LineError(f"cannot be read: {error}") from None
    timing = Timing(read.ttft_ms, read.e2e_ms, read.cached_length)
    if any(part is not None and not 0 <= part < math.inf for part in timing):
        raise LineError("has a time or a count below zero")
    lengths = read.input_length, read.output_length
    row = checked(Row(read.timestamp / 1e3, *lengths, read.hash_ids, timing))
    most = -(-row.prompt_tokens // BLOCK_TOKENS)
    if row.hash_ids is not None and len(row.hash_ids) > most:
        raise LineError(
            f"has {len(row.hash_ids)} hash ids for a prompt of {row.prompt_tokens} tokens, which"
            f" has {most} blocks of {BLOCK_TOKENS}"
        )
    return row


def write_line(
    timestamp_ms: int,
    prompt_tokens: int,
    output_tokens: int,
    hash_ids: Sequence[int],
    timing: Timing = UNTIMED,
) -> bytes:
    """One line, with its end; what is not known of `timing` is no field."""
    line: dict[str, object] = {
        "timestamp": timestamp_ms,
        "input_length": prompt_tokens,
        "output_length": output_tokens,
        "hash_ids": list(hash_ids),
    }
    known = {
        "ttft_ms": None if timing.ttft_ms is None else round(timing.ttft_ms, 3),
        "e2e_ms": None if timing.e2e_ms is None else round(timing.e2e_ms, 3),
        "cached_length": timing.cached_tokens,
    }
    line |= {name: value for name, value in known.items() if value is not None}
    return msgspec.json.encode(line) + b"\n"
