"""The line that says what a switch did, and what of it is good."""

import pytest
from prodtop.engine.metrics.wording import describe_effect, effect_words
from prodtop.engine.protocol import Percentile, Summary, SwitchEffect

MIB = 1024**2
GIB = 1024**3

Latency = float | Percentile | None


def at_least(value_ms: float) -> Percentile:
    return Percentile(value_ms=value_ms, at_least=True)


def known(latency: Latency) -> Percentile | None:
    return Percentile(value_ms=latency) if isinstance(latency, float) else latency


def summary(
    tok_s: float = 100.0,
    memory_bytes: int | None = None,
    ttft: Latency = None,
    ttfb: Latency = None,
    tpot_ms: float | None = None,
    *,
    growth_per_s: float = 0.0,
    growing: bool = False,
    failed: int = 0,
    span_s: float = 10.0,
    arrivals: int = 60,
) -> Summary:
    return Summary(
        span_s=span_s,
        arrivals=arrivals,
        requests=60,
        failed=failed,
        decode_tok_s=tok_s,
        growth_per_s=growth_per_s,
        growing=growing,
        memory_bytes=memory_bytes,
        ttft_p95=known(ttft),
        ttfb_p95=known(ttfb),
        tpot_p95_ms=tpot_ms,
    )


BEFORE = summary(100.0, 10 * GIB, 200.0, 1000.0, 10.0, span_s=12.0)
AFTER = summary(790.0, 10 * GIB + 2150 * MIB, 118.0, 1200.0, 31.0)


def effect(
    before: Summary | None = BEFORE, after: Summary | None = AFTER, so_far: Summary | None = None
) -> SwitchEffect:
    return SwitchEffect(
        kind="strategy",
        old="single",
        new="continuous",
        at_s=1.0,
        before=before,
        after=after,
        so_far=so_far,
    )


def verdicts(before: Summary, after: Summary) -> dict[str, bool | None]:
    """What the line says of each figure, by its first word."""
    parts = effect_words(effect(before, after)).parts
    return {part.text.split()[0]: part.better for part in parts}


def test_everything_measured_on_both_sides_is_told() -> None:
    assert describe_effect(effect()) == (
        "single → continuous: tok/s ×7.9, TTFT p95 −41 %, queue ±0/s, 0 failed, over 12 s / 10 s, "
        "memory +2.1 GiB, TTFB p95 +20 %, TPOT p95 ×3.1"
    )


def test_the_least_important_goes_first_where_there_is_no_room() -> None:
    assert describe_effect(effect(), width=90) == (
        "single → continuous: tok/s ×7.9, TTFT p95 −41 %, queue ±0/s, 0 failed, over 12 s / 10 s"
    )
    assert describe_effect(effect(), width=76) == (
        "single → continuous: tok/s ×7.9, TTFT p95 −41 %, queue ±0/s, 0 failed"
    )
    assert describe_effect(effect(), width=10) == (
        "single → continuous: tok/s ×7.9, TTFT p95 −41 %"
    )


@pytest.mark.parametrize("width", range(0, 140, 7))
def test_what_is_bad_stays_in_sight(width: int) -> None:
    after = summary(1.0, ttft=at_least(9e3), growth_per_s=48.0, growing=True, failed=3)
    line = describe_effect(effect(BEFORE, after), width=width)
    for words in ("TTFT p95 200 ms → ≥ 9.0 s", "queue +48/s", "3 failed"):
        assert words in line


def test_many_changes_are_counted_where_their_names_do_not_fit() -> None:
    several = SwitchEffect(
        kind="strategy + precision",
        old="single, bf16",
        new="continuous, int8",
        at_s=1.0,
        before=BEFORE,
        after=AFTER,
    )
    assert describe_effect(several).startswith("single, bf16 → continuous, int8: tok/s ×7.9, ")
    assert describe_effect(several, width=55).startswith("2 changes: tok/s ×7.9, ")


def test_plain_characters_on_request() -> None:
    line = describe_effect(effect(BEFORE, summary(ttft=at_least(5e3))), ascii_only=True)
    assert line.isascii()
    assert line.startswith(
        "single -> continuous: tok/s x1.0, TTFT p95 200 ms -> >= 5.0 s, queue +/-0"
    )


def test_what_was_not_measured_is_left_out_but_for_the_first_wait() -> None:
    line = describe_effect(effect(summary(100.0, ttft=5.0), summary(200.0)))
    assert line == (
        "single → continuous: tok/s ×2.0, TTFT p95 5 ms → --, queue ±0/s, 0 failed, "
        "over 10 s / 10 s"
    )


def test_before_enough_was_seen_it_says_what_is_known() -> None:
    assert describe_effect(effect(after=None)) == "single → continuous: measuring…"
    so_far = summary(ttft=at_least(3900.0), growth_per_s=48.0, growing=True, span_s=4.2)
    assert describe_effect(effect(after=None, so_far=so_far)) == (
        "single → continuous: measuring… 4 s, TTFT p95 ≥ 3.9 s, queue +48/s, 0 failed"
    )
    silent = summary(span_s=9.0, arrivals=0)
    assert describe_effect(effect(after=None, so_far=silent)) == (
        "single → continuous: measuring… 9 s, no request came"
    )
    assert describe_effect(effect(before=None)) == (
        "single → continuous: tok/s 790, TTFT p95 118 ms, queue ±0/s, 0 failed, over 10 s, "
        "nothing steady before it"
    )


@pytest.mark.parametrize(
    ("before", "after", "words", "better"),
    [
        (300.0, 100.0, "−67 %", True),
        (300.0, 310.0, "+3 %", None),
        (300.0, 400.0, "+33 %", False),
        (300.0, at_least(9_800.0), "300 ms → ≥ 9.8 s", False),
        (20_000.0, at_least(9_800.0), "20.0 s → ≥ 9.8 s", None),
        (at_least(20_000.0), 300.0, "≥ 20.0 s → 300 ms", True),
        (at_least(300.0), 20_000.0, "≥ 300 ms → 20.0 s", None),
        (at_least(9_000.0), at_least(300.0), "≥ 9.0 s → ≥ 300 ms", None),
        (None, 300.0, "-- → 300 ms", None),
        (300.0, None, "300 ms → --", None),
        (0.0, 300.0, "0 ms → 300 ms", False),
    ],
)
def test_a_latency_known_from_below_is_no_percentage_and_judged_only_as_far_as_it_goes(
    before: Latency, after: Latency, words: str, better: bool | None
) -> None:
    sides = summary(ttft=before), summary(ttft=after)
    assert f"TTFT p95 {words}, " in describe_effect(effect(*sides))
    assert verdicts(*sides)["TTFT"] is better


def test_each_figure_is_judged_by_its_own_direction() -> None:
    found = verdicts(BEFORE, AFTER)
    assert found == {
        "tok/s": True,
        "TTFT": True,
        "queue": None,
        "0": None,
        "over": None,
        "memory": False,
        "TTFB": False,
        "TPOT": False,
    }
    assert effect_words(effect()).better is None
    growing = summary(400.0, growth_per_s=5.0, growing=True)
    assert effect_words(effect(summary(), growing)).better is None
    assert effect_words(effect(growing, summary(400.0))).better is True
    assert effect_words(effect(summary(), summary(failed=2))).better is False


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
    assert line.startswith(f"single → continuous: tok/s {words}, ")


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
    before, after = summary(1.0, ttft=before_ms), summary(1.0, ttft=after_ms)
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
    assert describe_effect(effect(before, after)).endswith(f", memory {words}")
