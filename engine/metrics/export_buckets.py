"""The buckets of what is exported: those of each family of names, and one finer row for all.

A value is counted once, in a row of bounds that holds the bounds of every family. Each family's own
buckets are sums over that row: exact, and never at odds with each other.
"""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate
from typing import Literal

Family = Literal["vllm", "prodtop", "gen_ai"]

RENARD = (1.0, 1.25, 1.6, 2.0, 2.5, 3.15, 4.0, 5.0, 6.3, 8.0)
"""Ten steps a decade, each about 26 % above the last: the preferred numbers R10 of ISO 3."""


def _renard_s(lowest: int, highest: int) -> tuple[float, ...]:
    """Bounds in seconds from 10^`lowest` to 10^`highest`, both included."""
    steps = [float(f"{step}e{power}") for power in range(lowest, highest) for step in RENARD]
    return (*steps, float(f"1e{highest}"))


def _one_two_five(highest: int) -> tuple[float, ...]:
    """1, 2, 5, 10, … up to 10^`highest`."""
    steps = [float(f"{step}e{power}") for power in range(highest) for step in (1, 2, 5)]
    return (*steps, float(f"1e{highest}"))


_GAPS_S = _renard_s(-4, 1)
"""Between tokens: about a millisecond apart from 4 ms down, from 0.1 ms to 10 s."""
_LATENCY_S = _renard_s(-3, 3)
"""Of a request or a part of it: from 1 ms to 1,000 s."""
_TOKENS = _one_two_five(6)

_VLLM_TTFT_S = (
    *(0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0),
    *(20.0, 40.0, 80.0, 160.0, 640.0, 2560.0),
)
_VLLM_GAPS_S = (
    *(0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0),
    *(20.0, 40.0, 80.0),
)
_VLLM_REQUEST_S = (
    *(0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0, 120.0),
    *(240.0, 480.0, 960.0, 1920.0, 7680.0),
)
_VLLM_STEP_TOKENS = tuple(float(bound) for bound in (1, *(2**power for power in range(3, 15))))
_OTEL_DURATION_S = tuple(round(0.01 * 2**power, 2) for power in range(14))
_OTEL_TTFT_S = _VLLM_TTFT_S[:16]
_OTEL_TPOT_S = _VLLM_GAPS_S[:13]

BOUNDS: dict[str, dict[Family, tuple[float, ...]]] = {
    "ttft": {"vllm": _VLLM_TTFT_S, "prodtop": _LATENCY_S},
    "ttft_finished": {"gen_ai": _OTEL_TTFT_S},
    "itl": {"prodtop": _GAPS_S},
    "output_gap": {"vllm": _VLLM_GAPS_S},
    "tpot": {"vllm": _VLLM_GAPS_S, "prodtop": _GAPS_S, "gen_ai": _OTEL_TPOT_S},
    "e2e": {"vllm": _VLLM_REQUEST_S, "prodtop": _LATENCY_S, "gen_ai": _OTEL_DURATION_S},
    "queue": {"vllm": _VLLM_REQUEST_S, "prodtop": _LATENCY_S},
    "prefill": {"vllm": _VLLM_REQUEST_S, "prodtop": _LATENCY_S},
    "decode": {"vllm": _VLLM_REQUEST_S, "prodtop": _LATENCY_S},
    "inference": {"vllm": _VLLM_REQUEST_S, "prodtop": _LATENCY_S},
    "prompt_tokens": {"vllm": _TOKENS},
    "computed_prompt_tokens": {"vllm": _TOKENS},
    "generation_tokens": {"vllm": _TOKENS},
    "max_tokens": {"vllm": _TOKENS},
    "step_tokens": {"vllm": _VLLM_STEP_TOKENS},
}
"""By histogram and family, upper bounds that belong to their bucket; seconds, or tokens."""

RAW_BOUNDS: dict[str, tuple[float, ...]] = {
    name: tuple(sorted({bound for bounds in families.values() for bound in bounds}))
    for name, families in BOUNDS.items()
}
"""By histogram, what `ExportedHistogram.counts` are counted in."""


def cumulative(name: str, family: Family, counts: Sequence[int]) -> list[tuple[float, int]]:
    """A family's buckets, as (upper bound, values up to it), of a histogram's raw `counts`.

    All values, those above the last bound included, are `sum(counts)`.
    """
    raw, sums = RAW_BOUNDS[name], list(accumulate(counts))
    return [(bound, sums[bisect_left(raw, bound)]) for bound in BOUNDS[name][family]]
