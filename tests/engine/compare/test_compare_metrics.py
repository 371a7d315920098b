"""Every metric against its definition in docs/compare.md, written out anew."""

import statistics

import msgspec
import pytest
from comparisons import around, cell, comparison, measured, result, sample
from prodtop.engine.compare.metrics import METRICS, Repeat, metric_named, summary
from prodtop.engine.compare.samples import Limits
from prodtop.engine.protocol import CellResult, Distribution
from prodtop.engine.protocol.errors import BadInputError

LIMITS = Limits(ttft_ms=60.0)
ONE = result(
    samples=[
        sample(0.0, e2e_ms=120.0),
        sample(0.1, e2e_ms=180.0),
        sample(0.2, e2e_ms=6.0, ttft_ms=None, tpot_ms=None, response_hit=True),
        sample(0.3, ttft_ms=61.0, e2e_ms=90.0),
    ],
    rejected=1,
    requests=5,
)
SINGLE = result(cell("single"), duration_s=5.0)

BY_DEFINITION = {
    "output_tok_s": 100.0,
    "total_tok_s": 300.0,
    "req_s": 10.0,
    "goodput_req_s": 3 / 2.0,
    "attainment": 3 / 5,
    "duration_s": 2.0,
    "success_rate": 4 / 5,
    "memory_bytes": 2**30,
    "weights_bytes": 2**28,
    "kv_bytes": 2**29,
    "peak_kv_bytes": 2**27,
    "peak_running": 5,
    "mbu": 0.4,
    "mfu": 0.1,
    "j_per_token": 50.0 / (100.0 * 2.0),
    "response_hit_rate": 0.25,
    "prefix_hit_rate": 0.5,
    "draft_acceptance": 0.75,
    "batch_waste": 0.125,
    "batch_efficiency": None,
    "cache_speedup": statistics.median([120.0, 180.0, 90.0]) / 6.0,
    "efficiency": 100.0 / 0.1,
}
LOWER = {"duration_s", "memory_bytes", "weights_bytes", "peak_kv_bytes", "j_per_token",
         "batch_waste"}  # fmt: skip
NEITHER = {"kv_bytes", "peak_running"}
LATENCIES = ("ttft", "ttfb", "tpot", "itl", "e2e", "queue")


def read(name: str, of: CellResult = ONE, single: CellResult | None = None) -> float | None:
    return METRICS[name].read(Repeat(result=of, single=single, limits=LIMITS))


def test_every_metric_is_defined_here() -> None:
    latencies = {f"{name}_{of}_ms" for name in LATENCIES for of in Distribution.__struct_fields__}
    assert set(METRICS) == set(BY_DEFINITION) | latencies


@pytest.mark.parametrize("name", BY_DEFINITION)
def test_a_metric_is_what_its_definition_says(name: str) -> None:
    expected = BY_DEFINITION[name]
    assert read(name) == (None if expected is None else pytest.approx(expected))


@pytest.mark.parametrize("name", LATENCIES)
@pytest.mark.parametrize("statistic", Distribution.__struct_fields__)
def test_latencies_are_those_of_the_cell(name: str, statistic: str) -> None:
    distribution = getattr(ONE, f"{name}_ms")
    assert read(f"{name}_{statistic}_ms") == getattr(distribution, statistic)


def test_batch_efficiency_is_the_time_of_single_over_that_of_the_cell() -> None:
    whole = msgspec.structs.replace(ONE, rejected=0)
    assert read("batch_efficiency", whole, SINGLE) == 5.0 / 2.0
    for broken in (ONE, msgspec.structs.replace(whole, failed=1)):
        assert read("batch_efficiency", broken, SINGLE) is None


@pytest.mark.parametrize("name", METRICS)
def test_each_knows_its_direction(name: str) -> None:
    lower = name in LOWER or name.removesuffix("_ms") != name
    expected = None if name in NEITHER else not lower
    metric = METRICS[name]
    assert metric.higher_is_better is expected
    assert metric.better(2.0, 1.0) is (expected is True)
    assert metric.better(1.0, 2.0) is (expected is False)


BARE = result(
    samples=None,
    ttft_ms=None, ttfb_ms=None, tpot_ms=None, itl_ms=None, e2e_ms=None, queue_ms=None,
    batch_waste=None, response_hit_rate=None, prefix_hit_rate=None, draft_acceptance_rate=None,
    mbu=None, mfu=None, energy_j=None, peak_running=None, peak_kv_bytes=None, memory=0,
)  # fmt: skip
ALWAYS = {"output_tok_s", "total_tok_s", "req_s", "duration_s", "success_rate", "weights_bytes",
          "kv_bytes"}  # fmt: skip


@pytest.mark.parametrize("name", METRICS)
def test_what_was_not_measured_is_missing_and_never_zero(name: str) -> None:
    assert (read(name, BARE) is None) is (name not in ALWAYS)


def test_nothing_generated_has_no_energy_a_token() -> None:
    assert read("j_per_token", result(tok_s=0.0)) is None


def test_without_limits_there_is_no_goodput() -> None:
    for name in ("goodput_req_s", "attainment"):
        assert METRICS[name].read(Repeat(result=ONE)) is None


def test_repeats_are_paired_with_those_of_single_by_number() -> None:
    hybrid, single = cell("hybrid"), cell("single")
    found = comparison(measured(hybrid, around(50.0, repeats=3)), measured(single, [10.0, 20.0]))
    found = msgspec.structs.replace(
        found,
        cells=[
            found.cells[0],
            msgspec.structs.replace(
                found.cells[1],
                repeats=[result(single, duration_s=4.0), result(single, duration_s=8.0)],
            ),
        ],
    )
    efficiency = summary(found, found.cells[0], METRICS["batch_efficiency"])
    assert efficiency is not None
    assert (efficiency.low, efficiency.high, efficiency.count) == (2.0, 4.0, 2)


def test_single_under_another_load_or_setting_is_not_the_one_beside() -> None:
    for other in (cell("single", users=4), cell("single", max_seqs=4), cell("single", "fp32")):
        found = comparison(measured(cell(), [50.0]), measured(other, [10.0]))
        assert summary(found, found.cells[0], METRICS["batch_efficiency"]) is None


def test_an_unknown_metric_names_the_known() -> None:
    with pytest.raises(BadInputError, match="output_tok_s"):
        metric_named("speed")
