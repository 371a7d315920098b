"""Lines of Mooncake's JSONL traces, read and written.

A line has `timestamp` in ms, `input_length`, `output_length` and `hash_ids`: one for each 512
tokens of the prompt and one for the rest, over these tokens and all before them. Source:
kvcache-ai/Mooncake, `FAST25-release/traces`. Lines without `hash_ids` are read as well.

A recording of ours may say how each request went, in fields that other readers pass over:
`ttft_ms`, `tpot_ms`, `e2e_ms`, `cached_length` (prompt tokens from a prefix cache) and `ok`.
"""

from collections.abc import Sequence

import msgspec

from .rows import LineError, Measured, Row, checked, checked_times

BLOCK_TOKENS = 512
"""Tokens that one hash id stands for."""


class _Line(msgspec.Struct, frozen=True):
    timestamp: float
    input_length: int
    output_length: int
    hash_ids: list[int | str] | None = None
    ttft_ms: float | None = None
    tpot_ms: float | None = None
    e2e_ms: float | None = None
    cached_length: int | None = None
    ok: bool | None = None

    @property
    def tells(self) -> bool:
        """Whether it says how the request went."""
        told = (self.ttft_ms, self.tpot_ms, self.e2e_ms, self.cached_length, self.ok)
        return told != (None,) * 5

    def measured(self) -> Measured:
        """How the request went. Raises `LineError` for what cannot be."""
        told = Measured(self.ttft_ms, self.tpot_ms, self.e2e_ms, self.cached_length, self.ok)
        return checked_times(told, self.input_length)


_DECODER = msgspec.json.Decoder(_Line)


def read_line(line: bytes) -> Row:
    """One line. Raises `LineError`."""
    try:
        read = _DECODER.decode(line)
    # Malformed JSON, another type, text that is not UTF-8, brackets that nest too deeply.
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise LineError(f"cannot be read: {error}") from None
    row = checked(Row(read.timestamp / 1e3, read.input_length, read.output_length, read.hash_ids))
    # Millions of foreign lines tell nothing of it: they take the short way.
    if read.tells:
        row = row._replace(measured=read.measured())
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
    measured: Measured | None = None,
) -> bytes:
    """One line, with its end; of `measured` what is known."""
    line: dict[str, object] = {
        "timestamp": timestamp_ms,
        "input_length": prompt_tokens,
        "output_length": output_tokens,
        "hash_ids": list(hash_ids),
    }
    if measured is not None:
        told = {
            "ttft_ms": _rounded(measured.ttft_ms),
            "tpot_ms": _rounded(measured.tpot_ms),
            "e2e_ms": _rounded(measured.e2e_ms),
            "cached_length": measured.cached_tokens,
            "ok": measured.ok,
        }
        line |= {name: value for name, value in told.items() if value is not None}
    return msgspec.json.encode(line) + b"\n"


def _rounded(ms: float | None) -> float | None:
    """To microseconds: clocks tell no more."""
    return None if ms is None else round(ms, 3)
