"""Settings and samples of a bench, which a comparison asks for."""

from pathlib import Path

import msgspec
import pytest
from bench_engine import LOAD, bench_engine
from prodtop.engine.load.prompts import bundled_prompts
from prodtop.engine.protocol import BenchSpec, CellResult, PrecisionName, StrategyName
from prodtop.engine.protocol.errors import BadInputError
from prodtop.engine.serving.engine import Engine
from prodtop.engine.worker.bench import Bench


@pytest.fixture
def engine(tiny_folder: Path) -> Engine:
    return bench_engine(tiny_folder)


def cell_with(
    engine: Engine, strategy: StrategyName = StrategyName.HYBRID, **spec: object
) -> CellResult:
    """One cell with samples, under the settings that `spec` names."""
    plain = BenchSpec(
        strategies=[strategy],
        precisions=[PrecisionName.FP32],
        load=LOAD,
        requests=12,
        samples=True,
    )
    bench = Bench(engine, bundled_prompts(), own_gpu=None, versions={"prodtop": "x"})
    (cell,) = bench.cells(msgspec.structs.replace(plain, **spec))
    assert isinstance(cell, CellResult)
    return cell


@pytest.mark.parametrize("strategy", StrategyName)
def test_samples_are_the_requests_that_the_figures_are_made_of(
    engine: Engine, strategy: StrategyName
) -> None:
    cell = cell_with(engine, strategy)
    samples = cell.samples
    assert samples is not None
    assert len(samples) == cell.requests
    assert all(each.finished for each in samples)
    assert [each.arrival_s for each in samples] == sorted(each.arrival_s for each in samples)
    assert samples[0].arrival_s == 0.0
    assert sum(s.output_tokens for s in samples) == pytest.approx(
        cell.output_tok_s * cell.duration_s
    )
    assert max(each.end_s for each in samples) == pytest.approx(cell.duration_s, abs=0.01)
    for name in ("e2e_ms", "ttfb_ms", "ttft_ms", "tpot_ms"):
        values = [v for each in samples if (v := getattr(each, name)) is not None]
        distribution = getattr(cell, name)
        assert sum(values) / len(values) == pytest.approx(distribution.mean)
    hits = sum(each.response_hit for each in samples)
    assert hits / len(samples) == pytest.approx(cell.response_hit_rate or 0.0)


def test_samples_come_only_where_they_are_asked_for(engine: Engine) -> None:
    assert cell_with(engine, samples=False).samples is None


@pytest.mark.parametrize("max_seqs", [1, 2, 4])
def test_a_spec_says_how_many_run_at_once(engine: Engine, max_seqs: int) -> None:
    cell = cell_with(engine, max_seqs=max_seqs)
    assert cell.max_seqs == max_seqs
    assert cell.peak_running is not None
    assert 1 <= cell.peak_running <= max_seqs
    assert cell.peak_kv_bytes is not None
    assert 0 < cell.peak_kv_bytes <= cell.memory.kv_bytes
    assert cell_with(engine, StrategyName.SINGLE, max_seqs=max_seqs).max_seqs == 1


def test_more_at_once_hold_more_of_the_cache(engine: Engine) -> None:
    one, four = (cell_with(engine, max_seqs=n).peak_kv_bytes for n in (1, 4))
    assert one is not None
    assert four is not None
    assert one < four


def test_a_spec_says_how_many_drafts_are_made(engine: Engine) -> None:
    cells = [cell_with(engine, drafts=drafts) for drafts in (0, 3, 0)]
    assert [cell.drafts for cell in cells] == [0, 3, 0]
    assert engine.speculation.spec is None
    assert len({cell.output_sha256 for cell in cells}) == 1


@pytest.mark.parametrize("spec", [{"max_seqs": 5}, {"max_seqs": 0}, {"drafts": 99}])
def test_settings_that_the_engine_cannot_have_are_refused(
    engine: Engine, spec: dict[str, int]
) -> None:
    with pytest.raises(BadInputError):
        cell_with(engine, StrategyName.HYBRID, **spec)
