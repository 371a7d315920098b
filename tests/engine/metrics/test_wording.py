"""The line that says what a switch did."""

import pytest
from prodtop.engine.metrics.wording import describe_effect
from prodtop.engine.protocol import Summary, SwitchEffect

MIB = 1024**2
GIB = 1024**3

BEFORE = Summary(
    decode_tok_s=100.0,
    memory_bytes=10 * GIB,
    ttft_p95_ms=200.0,
    ttfb_p95_ms=1000.0,
    tpot_p95_ms=10.0,
)
AFTER = Summary(
    decode_tok_s=790.0,
    memory_bytes=10 * GIB + 2150 * MIB,
    ttft_p95_ms=118.0,
    ttfb_p95_ms=1200.0,
    tpot_p95_ms=31.0,
)


def effect(before: Summary | None = BEFORE, after: Summary | None = AFTER) -> SwitchEffect:
    return SwitchEffect(
        kind="strategy", old="single", new="continuous", at_s=1.0, before=before, after=after
    )


def summary(tok_s: float, memory_bytes: int = GIB, ttft_p95_ms: float | None = None) -> Summary:
    return Summary(decode_tok_s=tok_s, memory_bytes=memory_bytes, ttft_p95_ms=ttft_p95_ms)


def test_everything_measured_on_both_sides_is_told() -> None:
    assert describe_effect(effect()) == (
        "single → continuous: tok/s ×7.9, TTFT p95 −41 %, TTFB p95 +20 %, TPOT p95 ×3.1, "
        "memory +2.1 GiB"
    )


def test_the_least_important_goes_first_where_there_is_no_room() -> None:
    line = describe_effect(effect(), width=80)
    assert line == (
        "single → continuous: tok/s ×7.9, TTFT p95 −41 %, TTFB p95 +20 %, memory +2.1 GiB"
    )
    assert describe_effect(effect(), width=79) == (
        "single → continuous: tok/s ×7.9, TTFT p95 −41 %, memory +2.1 GiB"
    )
    assert describe_effect(effect(), width=10) == "single → continuous: tok/s ×7.9"


def test_plain_characters_on_request() -> None:
    line = describe_effect(effect(), ascii_only=True)
    assert line.isascii()
    assert line.startswith("single -> continuous: tok/s x7.9, TTFT p95 -41 %")


def test_what_was_not_measured_is_left_out() -> None:
    line = describe_effect(effect(summary(100.0, ttft_p95_ms=5.0), summary(200.0)))
    assert line == "single → continuous: tok/s ×2.0, memory ±0"


def test_before_enough_was_seen_it_says_so() -> None:
    assert describe_effect(effect(after=None)) == "single → continuous: measuring…"
    assert describe_effect(effect(before=None)) == (
        "single → continuous: tok/s 790, nothing to compare with"
    )


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (100.0, 790.0, "×7.9"),
        (100.0, 100.0, "×1.0"),
        (100.0, 99.9, "×1.0"),
        (100.0, 50.0, "×0.50"),
        (100.0, 1.0, "×0.01"),
        (1000.0, 1.0, "×0.001"),
        (100.0, 0.0, "×0.00"),
        (1.0, 12.34, "×12"),
        (1.0, 9.96, "×10"),
        (1.0, 12345.0, "×12,345"),
        (0.0, 1234.0, "0 → 1,234"),
        (0.0, 3.21, "0 → 3.2"),
        (0.0, 0.0, "0 → 0"),
    ],
)
def test_throughput_is_a_factor(before: float, after: float, words: str) -> None:
    line = describe_effect(effect(summary(before), summary(after)))
    assert line == f"single → continuous: tok/s {words}, memory ±0"


@pytest.mark.parametrize(
    ("before_ms", "after_ms", "words"),
    [
        (100.0, 59.0, "−41 %"),
        (100.0, 100.2, "±0 %"),
        (100.0, 199.0, "+99 %"),
        (100.0, 200.0, "×2.0"),
        (100.0, 5000.0, "×50"),
        (1000.0, 2.0, "×0.002"),
    ],
)
def test_latency_is_a_percentage_or_a_factor(before_ms: float, after_ms: float, words: str) -> None:
    before, after = summary(1.0, ttft_p95_ms=before_ms), summary(1.0, ttft_p95_ms=after_ms)
    assert f"TTFT p95 {words}, " in describe_effect(effect(before, after))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (0, "±0"),
        (1000, "±0"),
        (13 * MIB, "+13 MiB"),
        (-13 * MIB, "−13 MiB"),
        (GIB - 1, "+1.0 GiB"),
        (-GIB * 5 // 2, "−2.5 GiB"),
    ],
)
def test_memory_is_a_difference(change: int, words: str) -> None:
    before, after = summary(1.0, 10 * GIB), summary(1.0, 10 * GIB + change)
    assert describe_effect(effect(before, after)).endswith(f"memory {words}")
