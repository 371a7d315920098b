"""What-ifs: each against its formula, and none without its assumption or its reason."""

import pytest
from comparisons import cell, result
from hypothesis import given
from hypothesis import strategies as st
from prodtop.engine.compare.cells import Measured
from prodtop.engine.cost.rates import Rates
from prodtop.engine.cost.settings import CostSettings
from prodtop.engine.cost.spend import spend
from prodtop.engine.cost.what_ifs import Standing, WhatIf, what_ifs
from prodtop.engine.protocol import PrecisionName, StrategyName, Usage
from usage_samples import usage, usages

SPOT = CostSettings(spot_usd_per_hour=1.2, interruptions_per_hour=0.5, restart_s=360.0)


def standing(
    of: Usage | None = None,
    *cells: Measured,
    settings: CostSettings = SPOT,
    strategy: str = "hybrid",
    usd_per_hour: float | None = 3.6,
) -> Standing:
    rates = Rates(usd_per_hour=usd_per_hour, settings=settings)
    return Standing(
        strategy=StrategyName(strategy),
        precision=PrecisionName.BF16,
        now=spend(of or usage(), rates),
        rates=rates,
        cells=cells,
    )


def named(name: str, of: Standing) -> WhatIf:
    return next(each for each in what_ifs(of, "b") if each.name == name)


def costing(strategy: str, precision: str, span_s: float) -> Measured:
    of = cell(strategy, precision)
    run = result(of, usage=usage(span_s=span_s, energy_j=None, requests=4))
    return Measured(cell=of, repeats=[run])


def test_spot_pays_for_the_time_in_which_nothing_is_served() -> None:
    found = named("spot", standing())
    # Half an interruption an hour of 360 s: 5 % on top of what is served.
    assert found.ratio == pytest.approx(1.2 / 3.6 * 1.05)
    assert "$1.20/h with 0.5 interruptions an hour, each of 360 s" in found.assumption


def test_spot_changes_the_rent_alone() -> None:
    settings = CostSettings(
        spot_usd_per_hour=1.2, interruptions_per_hour=0.0, restart_s=0.0, usd_per_kwh=12.0
    )
    found = named("spot", standing(settings=settings))
    # 0.06 dollars of rent and as much of energy.
    assert found.ratio == pytest.approx((0.02 + 0.06) / 0.12)


@pytest.mark.parametrize(
    ("settings", "rent", "words"),
    [
        (CostSettings(), 3.6, "cost.spot_usd_per_hour is not set"),
        (CostSettings(spot_usd_per_hour=1.0), 3.6, "cost.interruptions_per_hour is not set"),
        (SPOT, None, "no price of the GPU"),
    ],
)
def test_spot_says_what_it_lacks(settings: CostSettings, rent: float | None, words: str) -> None:
    found = named("spot", standing(settings=settings, usd_per_hour=rent))
    assert (found.ratio, found.missing) == (None, words)


def test_another_precision_is_the_cheapest_measured_one() -> None:
    cells = [costing("hybrid", name, s) for name, s in (("bf16", 4), ("int8", 3), ("int4", 2))]
    other = costing("single", "fp8", 1)
    found = named("int4", standing(None, *cells, other))
    assert found.ratio == pytest.approx(0.5)
    now = standing().now.per_request_usd
    assert now is not None
    assert found.per_request_usd == pytest.approx(now / 2)


def test_what_was_not_measured_names_the_key_that_does() -> None:
    found = named("precision", standing(None, costing("hybrid", "bf16", 4)))
    assert found.ratio is None
    assert found.missing == "not measured: b in Compare does"


def test_without_caches_each_cached_token_takes_what_a_computed_one_took() -> None:
    # 2,000 prompt tokens at 15 ÷ 6,000 s and 500 answered ones at 30 ÷ 1,500 s: 15 s more of 45.
    assert named("no caches", standing()).ratio == pytest.approx((45 + 5 + 10) / 45)


def test_caches_that_were_not_used_are_as_compare_measured_them() -> None:
    none = usage(cached_prompt_tokens=0, cached_output_tokens=0)
    cells = [costing("continuous", "bf16", 4), costing("hybrid", "bf16", 3)]
    found = named("caching", standing(none, *cells, strategy="continuous"))
    assert found.ratio == pytest.approx(0.75)
    idle = named("caching", standing(none, *cells))
    assert idle.missing == "no hit in this window: nothing is repeated"


def test_a_batch_twice_as_large_halves_what_memory_took() -> None:
    # Of the busy time three quarters are memory's.
    assert named("batch ×2", standing()).ratio == pytest.approx(1 - 0.75 / 2)
    assert named("batch ×2", standing(usage(mfu=None))).missing == "MBU and MFU are not known"


@given(of=usages(), rent=st.none() | st.floats(0.01, 100))
def test_each_has_its_assumption_and_a_ratio_or_a_reason(of: Usage, rent: float | None) -> None:
    for each in what_ifs(standing(of, usd_per_hour=rent), "b"):
        assert each.assumption
        assert (each.ratio is None) is (each.missing is not None)
        assert each.ratio is None or each.ratio > 0
        if each.ratio is None:
            assert each.per_request_usd is None
