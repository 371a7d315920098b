"""The cost of a span, against sums worked out here from the prices."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prodtop.engine.cost.rates import NO_RATES, Rates
from prodtop.engine.cost.settings import CostSettings
from prodtop.engine.cost.spend import spend
from prodtop.engine.protocol import Usage
from usage_samples import usage, usages

ALL = CostSettings(
    usd_per_hour=4.0,
    usd_per_kwh=0.2,
    storage_usd_per_gib_month=0.1,
    storage_gib=500.0,
    bandwidth_usd_per_gib=0.09,
    answer_bytes_per_token=200.0,
)
RATES = Rates(usd_per_hour=4.0, source="[cost]", settings=ALL)
prices = st.none() | st.floats(1e-6, 1e6)


@st.composite
def rates(draw: st.DrawFn) -> Rates:
    return Rates(
        usd_per_hour=draw(prices),
        settings=CostSettings(
            usd_per_kwh=draw(prices),
            storage_usd_per_gib_month=draw(prices),
            storage_gib=draw(prices),
            bandwidth_usd_per_gib=draw(prices),
            answer_bytes_per_token=draw(prices),
        ),
    )


def test_each_part_is_its_price_times_its_amount() -> None:
    found = spend(usage(), RATES)
    assert found.device_usd == pytest.approx(4.0 * 60 / 3600)
    assert found.energy_usd == pytest.approx(18_000 / 3_600_000 * 0.2)
    assert found.storage_usd == pytest.approx(0.1 * 500 / 730 / 60)
    assert found.bandwidth_usd == pytest.approx(2000 * 200 / 2**30 * 0.09)
    parts = (found.device_usd, found.energy_usd, found.storage_usd, found.bandwidth_usd)
    assert found.total_usd == pytest.approx(sum(each or 0.0 for each in parts))
    assert found.total_usd is not None
    assert found.per_request_usd == pytest.approx(found.total_usd / 30)
    assert found.per_hour_usd == pytest.approx(found.total_usd * 60)
    assert found.joules_per_request == pytest.approx(600)
    assert found.joules_per_output_token == pytest.approx(12)


def test_tokens_share_the_total_as_the_steps_shared_the_device() -> None:
    found = spend(usage(), Rates(usd_per_hour=3.6))
    # 0.06 dollars in all: a third for 6,000 prompt tokens, two thirds for 1,500 answered ones.
    assert found.tokens.input == pytest.approx(0.02 / 6000 * 1e6)
    assert found.tokens.output == pytest.approx(0.04 / 1500 * 1e6)
    assert found.tokens.cached == 0.0
    assert found.tokens.spared_usd == pytest.approx(2000 * 0.02 / 6000 + 500 * 0.04 / 1500)


@given(of=usages(), at=rates())
def test_the_parts_add_up_whatever_was_used(of: Usage, at: Rates) -> None:
    found = spend(of, at)
    parts = (found.device_usd, found.energy_usd, found.storage_usd, found.bandwidth_usd)
    known = [part for part in parts if part is not None]
    assert (found.total_usd is None) is (not known)
    assert all(part >= 0 and math.isfinite(part) for part in known)
    split = found.split
    assert split.idle + split.busy == pytest.approx(1.0)
    if split.compute is not None and split.memory is not None:
        assert split.compute + split.memory == pytest.approx(split.busy)
        assert min(split.compute, split.memory) >= 0
    into, out = found.tokens.input, found.tokens.output
    if found.total_usd is not None and into is not None and out is not None:
        together = into * of.prefill_tokens / 1e6 + out * of.decode_tokens / 1e6
        assert together == pytest.approx(found.total_usd)


@given(of=usages())
def test_without_a_price_nothing_has_a_cost(of: Usage) -> None:
    found = spend(of, NO_RATES)
    assert found.total_usd is None
    assert found.per_request_usd is None
    assert found.per_hour_usd is None
    assert (found.tokens.input, found.tokens.output, found.tokens.cached) == (None, None, None)


@pytest.mark.parametrize(
    ("fields", "missing"),
    [
        ({"requests": 0}, "per_request_usd"),
        ({"energy_j": None}, "energy_usd"),
        ({"energy_j": None}, "joules_per_request"),
        ({"span_s": 0.0}, "per_hour_usd"),
    ],
)
def test_what_there_was_none_of_has_no_price(fields: dict[str, object], missing: str) -> None:
    assert getattr(spend(usage(**fields), RATES), missing) is None


def test_an_idle_span_costs_its_rent_and_gives_tokens_no_price() -> None:
    idle = usage(device_s=0.0, prefill_device_s=0.0, requests=0, prefill_tokens=0, decode_tokens=0)
    found = spend(idle, RATES)
    assert found.device_usd == pytest.approx(4.0 / 60)
    assert found.split.idle == 1.0
    assert found.tokens.output is None


def test_busy_time_is_split_as_the_ceilings_are_used() -> None:
    split = spend(usage(), RATES).split
    assert split.idle == pytest.approx(0.25)
    assert split.compute == pytest.approx(0.75 / 4)
    assert split.memory == pytest.approx(0.75 * 3 / 4)
    unknown = spend(usage(mbu=None), RATES).split
    assert (unknown.compute, unknown.memory) == (None, None)
    assert unknown.busy == pytest.approx(0.75)
