"""What a run used and cost, against what each of its requests and the card's counter tell."""

from pathlib import Path

import pytest
from bench_engine import LOAD, bench_engine
from prodtop.engine.cost.cells import cost_of_result
from prodtop.engine.cost.rates import Rates
from prodtop.engine.cost.settings import CostSettings
from prodtop.engine.load.prompts import bundled_prompts
from prodtop.engine.probes.nvml_api import Nvml
from prodtop.engine.probes.own_gpu import OwnGpu
from prodtop.engine.protocol import BenchSpec, CellResult, PrecisionName, StrategyName, Window
from prodtop.engine.serving.engine import Clock
from prodtop.engine.worker.bench import Bench
from prodtop.engine.worker.frames import FrameBuilder
from prodtop.engine.worker.traffic import Traffic

WATTS = 250.0
BEGAN_J = 7e6
"""What the counter stands at before anything is served."""


class MeteredGpu(OwnGpu):
    """A card that takes `WATTS` whatever it does, and remembers what it was asked."""

    def __init__(self, clock: Clock) -> None:
        def no_driver() -> Nvml:
            raise ImportError("pynvml")

        super().__init__(no_driver, "GPU-0")
        self._clock = clock
        self.readings_j: list[float] = []

    def energy_j(self) -> float | None:
        self.readings_j.append(BEGAN_J + WATTS * self._clock())
        return self.readings_j[-1]


def measured(folder: Path, strategy: StrategyName) -> tuple[CellResult, MeteredGpu]:
    engine = bench_engine(folder)
    gpu = MeteredGpu(engine.clock)
    bench = Bench(engine, bundled_prompts(), own_gpu=gpu, versions={})
    spec = BenchSpec(
        strategies=[strategy],
        precisions=[PrecisionName.FP32],
        requests=16,
        load=LOAD,
        samples=True,
    )
    (result,) = bench.cells(spec)
    assert isinstance(result, CellResult)
    return result, gpu


@pytest.mark.parametrize("strategy", StrategyName)
def test_a_run_costs_price_times_time_and_the_counters_joules(
    strategy: StrategyName, tiny_folder: Path
) -> None:
    """Time by when its last request ended, joules by the first and the last reading."""
    result, gpu = measured(tiny_folder, strategy)
    assert result.samples is not None
    run_s = max(each.end_s for each in result.samples)
    grown_j = gpu.readings_j[-1] - gpu.readings_j[0]
    rates = Rates(usd_per_hour=4.0, settings=CostSettings(usd_per_kwh=0.3))
    cost = cost_of_result(result, rates)
    assert cost.device_usd == pytest.approx(4.0 * run_s / 3600, rel=0.01)
    assert cost.energy_usd == pytest.approx(0.3 * grown_j / 3.6e6, rel=0.01)
    assert cost.usage.energy_j == pytest.approx(grown_j)
    assert cost.per_request_usd == pytest.approx((cost.total_usd or 0.0) / 16)


@pytest.mark.parametrize("strategy", [StrategyName.CONTINUOUS, StrategyName.HYBRID])
def test_tokens_are_those_of_the_requests(strategy: StrategyName, tiny_folder: Path) -> None:
    result, _ = measured(tiny_folder, strategy)
    usage, samples = result.usage, result.samples
    assert usage is not None
    assert samples is not None
    computed = [each for each in samples if not each.response_hit]
    cached = [each for each in samples if each.response_hit]
    assert usage.requests == 16
    assert usage.decode_tokens == sum(each.output_tokens for each in computed)
    assert usage.cached_output_tokens == sum(each.output_tokens for each in cached)
    assert usage.cached_prompt_tokens == sum(each.cached_prompt_tokens for each in computed)
    prompts = sum(each.prompt_tokens - each.cached_prompt_tokens for each in computed)
    # At least: a preempted request computes its prompt again.
    assert usage.prefill_tokens >= prompts
    assert 0 < usage.prefill_device_s < usage.device_s <= usage.span_s


def test_frames_tell_the_joules_since_the_first_of_them(tiny_folder: Path) -> None:
    engine = bench_engine(tiny_folder)
    gpu = MeteredGpu(engine.clock)
    traffic = Traffic(engine, bundled_prompts(), LOAD)
    builder = FrameBuilder(engine, gpu)
    for _ in range(400):
        traffic.submit_arrivals()
        completions = engine.step()
        builder.on_completions(completions, traffic)
        traffic.on_completions(completions)
        frame = builder.build(traffic)
    grown_j = gpu.readings_j[-1] - gpu.readings_j[0]
    assert len(gpu.readings_j) > 2
    session = frame.usage[Window.SESSION]
    assert session.energy_j == pytest.approx(grown_j)
    assert engine.exported.counted().counters["energy_joules"] == pytest.approx(grown_j)
    assert frame.usage.keys() == set(Window)
