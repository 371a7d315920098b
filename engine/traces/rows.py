"""What every format's lines become, and the bounds that hold for all of them."""

import math
from typing import NamedTuple

LONGEST_REQUEST_TOKENS = 2**24
"""Tokens of a prompt or an output: 16 million, far above any context there is."""
LATEST_S = 1e11
"""Seconds: the year 5138 as Unix time. What lies beyond is no time."""


class LineError(Exception):
    """What is wrong with a line, as the end of a sentence; whoever catches it names file and line.

    `incomplete`: as of a line that was cut off.
    """


class Measured(NamedTuple):
    """What a recording tells of how one request went, in ms from its arrival; `None`: it does not.

    `e2e_ms` of a request that failed is when it did; the other latencies it has none of.
    """

    ttft_ms: float | None = None
    tpot_ms: float | None = None
    e2e_ms: float | None = None
    cached_tokens: int | None = None
    """Of the prompt, taken from a prefix cache."""
    ok: bool | None = None
    """Whether its client got all of its answer."""


class Row(NamedTuple):
    """One line: a time in seconds, from whenever the file counts, and lengths in tokens."""

    at_s: float
    prompt_tokens: int
    output_tokens: int
    hash_ids: list[int | str] | None = None
    measured: Measured | None = None


def checked(row: Row) -> Row:
    """`row`, if it can be a request or one that failed. Raises `LineError`."""
    at_s, prompt_tokens, output_tokens, *_ = row
    most = LONGEST_REQUEST_TOKENS
    # Millions of lines are as they should be: they take the short way.
    if 0 <= at_s <= LATEST_S and 0 <= prompt_tokens <= most and 0 <= output_tokens <= most:
        return row
    if not math.isfinite(row.at_s) or not 0 <= row.at_s <= LATEST_S:
        raise LineError(f"a time of {row.at_s:g} s is out of bounds")
    for what, tokens in (("prompt", row.prompt_tokens), ("output", row.output_tokens)):
        if not 0 <= tokens <= LONGEST_REQUEST_TOKENS:
            raise LineError(
                f"{tokens} {what} tokens are out of bounds (0 to {LONGEST_REQUEST_TOKENS:,})"
            )
    return row


def checked_times(measured: Measured, prompt_tokens: int) -> Measured:
    """`measured`, if it can be of a request with such a prompt. Raises `LineError`."""
    times = {"ttft_ms": measured.ttft_ms, "tpot_ms": measured.tpot_ms, "e2e_ms": measured.e2e_ms}
    for name, value in times.items():
        if value is not None and not 0 <= value <= LATEST_S:
            raise LineError(f"{name} of {value:g} is out of bounds")
    cached = measured.cached_tokens
    if cached is not None and not 0 <= cached <= prompt_tokens:
        raise LineError(f"{cached} cached tokens of a prompt of {prompt_tokens} are out of bounds")
    return measured
