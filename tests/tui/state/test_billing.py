"""Which price holds for a device, and what is said of the budget."""

import datetime

import msgspec
import pytest
from frames import frame
from prodtop.engine.cost.settings import CostSettings
from prodtop.engine.planner.serving_capacity.prices import Price, packaged_prices
from prodtop.engine.protocol import Window
from prodtop.tui.settings.config import ConfigError, parse_config
from prodtop.tui.state.billing import Billing, gpu_key

OWN = Price(usd_per_hour=2.5, date=datetime.date(2026, 11, 1), source="our contract")


def test_what_is_set_goes_before_own_prices_and_these_before_the_list() -> None:
    listed = packaged_prices()["h200"]
    found = Billing().rates("NVIDIA H200", on_gpu=True)
    assert (found.usd_per_hour, found.listed) == (listed.usd_per_hour, True)
    assert found.source == f"list price: {listed.source}, {listed.date.isoformat()}"
    own = Billing(prices={"h200": OWN}).rates("NVIDIA H200", on_gpu=True)
    assert (own.usd_per_hour, own.listed, own.source) == (2.5, False, "prices.h200")
    both = Billing(CostSettings(usd_per_hour=1.5), prices={"h200": OWN})
    assert both.rates("NVIDIA H200", on_gpu=True).usd_per_hour == 1.5


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("NVIDIA H200", "h200"),
        ("NVIDIA H100 80GB HBM3", "h100-sxm"),
        ("NVIDIA A100-SXM4-40GB", "a100-40"),
        ("NVIDIA H200 MIG 1g.18gb", None),
        ("a card of tomorrow", None),
        ("", None),
    ],
)
def test_a_gpu_is_known_by_its_drivers_name_and_a_part_of_one_has_no_price(
    name: str, key: str | None
) -> None:
    assert gpu_key(name) == key
    rates = Billing().rates(name, on_gpu=True)
    assert (rates.usd_per_hour is None) is (key is None)


def test_a_processor_has_only_the_price_that_is_set() -> None:
    assert Billing().rates("NVIDIA H200", on_gpu=False).usd_per_hour is None
    assert Billing(CostSettings(usd_per_hour=0.2)).rates("x", on_gpu=False).usd_per_hour == 0.2


def test_the_config_says_all_of_it() -> None:
    config = parse_config(
        "[cost]\nusd_per_kwh = 0.3\nbudget_usd_per_day = 50\n[capacity]\nrequests_per_s = 80\n"
        "[prices.h200]\nusd_per_hour = 2.5\ndate = 2026-11-01\n",
        "config.toml",
    )
    found = Billing.of(config)
    assert found.cost == CostSettings(usd_per_kwh=0.3, budget_usd_per_day=50)
    assert found.capacity.requests_per_s == 80
    assert found.prices["h200"].usd_per_hour == 2.5


@pytest.mark.parametrize(
    "text",
    ["[cost]\nusd_per_hour = 0", "[cost]\nusd_per_hour = -1", "[cost]\nrent = 1", "cost = 3"],
)
def test_an_impossible_price_is_an_error_that_names_it(text: str) -> None:
    with pytest.raises(ConfigError, match="cost"):
        parse_config(text, "config.toml")


def test_a_window_that_does_not_tell_its_usage_has_no_cost() -> None:
    older = msgspec.structs.replace(frame(), usage={})
    assert Billing().spend(older, Window.M1) is None
    assert Billing().spend(None, Window.M1) is None
    found = Billing().spend(frame(), Window.M1)
    assert found is not None
    assert found.per_hour_usd == pytest.approx(4.59)
