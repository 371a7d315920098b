"""What cells cost: price × duration over what the run answered, as medians of its repeats."""

import msgspec
import pytest
from comparisons import cell, comparison, result
from prodtop.engine.compare.cells import Measured
from prodtop.engine.cost.cells import cell_costs, cost_at, cost_of_result, same_load
from prodtop.engine.cost.rates import NO_RATES, Rates
from prodtop.engine.cost.settings import CostSettings
from prodtop.engine.protocol import LoadSpec
from usage_samples import usage

RATES = Rates(usd_per_hour=3.6, settings=CostSettings(usd_per_kwh=0.36))


def test_a_run_costs_its_time_and_its_energy() -> None:
    of = cell()
    run = result(of, usage=usage(span_s=2.0, energy_j=50.0, requests=4))
    found = cost_of_result(run, RATES)
    assert found.device_usd == pytest.approx(2.0 * 3.6 / 3600)
    assert found.energy_usd == pytest.approx(50.0 * 0.36 / 3.6e6)
    assert found.total_usd == pytest.approx(0.002 + 0.000005)


def test_every_cell_has_the_medians_of_its_repeats() -> None:
    fast, slow = cell(), cell("single")
    repeats = [
        result(fast, usage=usage(span_s=span_s, energy_j=None, requests=4))
        for span_s in (1.0, 2.0, 3.0)
    ]
    failed = Measured(cell=cell("batched"), failure="the worker died")
    made = comparison(Measured(cell=fast, repeats=repeats), Measured(cell=slow), failed)
    found = cell_costs(made, RATES)
    assert [each.label for each in found] == ["hybrid bf16", "single bf16", "batched bf16"]
    assert found[0].per_request is not None
    assert found[0].per_request.value == pytest.approx(0.002 / 4)
    assert found[1].per_request is None
    assert found[2].failure == "the worker died"
    assert cost_at(made.cells[0], RATES) == pytest.approx(0.002 / 4)
    assert cost_at(None, RATES) is None
    assert cell_costs(made, NO_RATES)[0].per_request is None


def test_a_result_that_does_not_tell_its_usage_has_no_split() -> None:
    """Files of an older prodtop: 100 tok/s for two seconds, four requests."""
    old = Measured(cell=cell(), repeats=[result(tok_s=100.0)])
    (found,) = cell_costs(comparison(old), Rates(usd_per_hour=3.6))
    assert found.per_request is not None
    assert found.per_request.value == pytest.approx(0.002 / 4)
    assert found.generated is not None
    assert found.generated.value == pytest.approx(0.002 / 200 * 1e6)
    assert (found.input, found.output, found.cached) == (None, None, None)


def test_the_live_load_is_the_cells_but_for_what_a_sweep_changes() -> None:
    live = LoadSpec(users=8)
    assert same_load(msgspec.structs.replace(live, ignore_eos=True), live)
    assert not same_load(msgspec.structs.replace(live, users=9), live)
    assert not same_load(msgspec.structs.replace(live, temperature=0.0), live)
