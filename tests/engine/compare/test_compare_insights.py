"""What a comparison says: nothing ranked that the intervals do not tell apart."""

from comparisons import around, cell, comparison, measured
from prodtop.engine.compare.cells import Comparison
from prodtop.engine.compare.insights import Insight, insights

SINGLE, STREAMING, HYBRID, INT8 = (
    cell("single"), cell("streaming"), cell("hybrid"), cell("hybrid", "int8"),
)  # fmt: skip
TRADE = comparison(
    measured(SINGLE, around(40.0), around(100.0)),
    measured(STREAMING, around(80.0), around(200.0)),
    measured(HYBRID, around(100.0), around(300.0)),
    measured(INT8, around(100.1), around(400.0)),
)


def by_topic(found: Comparison) -> dict[str, Insight]:
    return {each.topic: each for each in insights(found)}


def test_each_winner_is_named_with_those_that_are_not_told_from_it() -> None:
    found = by_topic(TRADE)
    assert found["latency"].cells == ["single bf16"]
    assert "E2E p95 100 ms" in found["latency"].text
    assert "streaming bf16 ×2.00" in found["latency"].text
    assert found["throughput"].cells == ["hybrid int8", "hybrid bf16"]
    assert "no difference measured to hybrid bf16" in found["throughput"].text
    # tok/s over mean E2E, which is half of the p95 here.
    assert found["efficiency"].cells[:2] == ["single bf16", "streaming bf16"]


def test_the_front_has_every_trade_and_not_what_is_beaten() -> None:
    """int8 is no faster than bf16 by measurement, and measurably slower to answer, but its median
    throughput is higher: by the definition it stays."""
    found = by_topic(TRADE)["pareto"]
    assert set(found.cells) == {"single bf16", "streaming bf16", "hybrid bf16", "hybrid int8"}
    beaten = comparison(*TRADE.cells[:3], measured(INT8, around(99.0), around(400.0)))
    assert "hybrid int8" not in by_topic(beaten)["pareto"].cells
    assert "1 of 4 cells" in by_topic(beaten)["pareto"].text


def test_the_winner_changes_where_latency_must_be_lower() -> None:
    found = by_topic(TRADE)["winner"]
    assert found.cells == ["hybrid int8", "hybrid bf16", "streaming bf16", "single bf16"]
    assert found.text == (
        "what would change the winner, hybrid int8: hybrid bf16 if E2E p95 must be below 400 ms;"
        " streaming bf16 if E2E p95 must be below 300 ms; single bf16 if E2E p95 must be below"
        " 200 ms"
    )
    alone = comparison(measured(SINGLE, around(40.0)))
    assert "no limit on E2E p95" in by_topic(alone)["winner"].text


def test_too_few_repeats_rank_nothing_and_are_told() -> None:
    found = by_topic(comparison(measured(SINGLE, [10.0, 11.0]), measured(HYBRID, [100.0, 110.0])))
    assert found["throughput"].cells == ["hybrid bf16", "single bf16"]
    assert "too few repeats to tell it from single bf16" in found["throughput"].text
    assert "fewer than the 6 repeats" in found["repeats"].text
    assert len(found["pareto"].cells) == 2
    assert "repeats" not in by_topic(TRADE)


def test_nothing_measured_says_nothing() -> None:
    assert insights(comparison()) == []
