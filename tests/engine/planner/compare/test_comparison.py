"""Strategies on clusters beside one GPU: the definitions hold, and nothing that idles wins."""

from dataclasses import replace

import pytest
from prodtop.engine.planner.compare.comparison import (
    CLUSTERS,
    SCENARIOS,
    TOKENS_PER_PARAMETER,
    Comparison,
    compare,
)
from prodtop.engine.planner.compare.score import WEIGHTS, Rated
from prodtop.engine.planner.cost.estimate import Estimate
from prodtop.engine.planner.cost.hardware import cluster, find_gpu, known_gpus
from prodtop.engine.planner.cost.memory import GIB
from prodtop.engine.planner.cost.setting import setting
from prodtop.engine.planner.search.constraints import Constraints
from prodtop.engine.planner.search.search import search
from prodtop.engine.planner.search.strategies import STRATEGY_KEYS, best_of
from prodtop.engine.shape.presets import preset

H100 = find_gpu("h100-sxm")
WHERE = setting(preset("generic-7b"), cluster(H100, 64), 4096)
BATCH = Constraints(batch=512)
TYPES = [known_gpus()[key] for key in ("h100-sxm", "b200", "rtx4090", "v100", "tpu-v5e")]


@pytest.fixture(scope="module")
def found() -> Comparison:
    return compare(WHERE, BATCH, TYPES, calibrations={})


def figures(one: Rated) -> Estimate:
    assert one.estimate is not None
    return one.estimate


def test_every_strategy_is_at_its_best_on_every_cluster(found: Comparison) -> None:
    places = [(one.strategy.key, one.gpus) for one in found.rated]
    assert places == [(key, gpus) for key in STRATEGY_KEYS for gpus in CLUSTERS]
    for one in found.rated:
        if one.gpus == 1:
            continue
        where = replace(WHERE, cluster=replace(WHERE.cluster, gpus=one.gpus))
        best = best_of(one.strategy.key, where, BATCH).best
        assert best is not None
        assert one.fits
        assert figures(one).layout == best.layout
        assert figures(one).step_s == best.step_s


def test_one_gpu_is_where_speed_up_begins_and_its_row_says_whether_it_fits(
    found: Comparison,
) -> None:
    for one in found.rated:
        layout = one.one_gpu.layout
        assert layout.world == 1
        assert layout.batch == BATCH.batch
        if one.gpus == 1:
            assert one.estimate is one.one_gpu
            assert (one.speedup, one.efficiency, one.serial_share) == (1.0, 1.0, None)
            assert one.fits is (one.one_gpu.memory.total <= H100.memory_bytes)
            assert one.fits is (one.reason is None)
            assert not one.fits, "16 bytes for each of 7B parameters"


def test_amdahl_and_karp_flatt_give_the_speed_up_back(found: Comparison) -> None:
    checked = 0
    for one in found.rated:
        serial = one.serial_share
        if one.speedup is None or serial is None:
            continue
        assert one.efficiency == pytest.approx(one.speedup / one.gpus)
        if 0 < serial < 1:
            assert 1 / (serial + (1 - serial) / one.gpus) == pytest.approx(one.speedup)
            assert one.amdahl_bound is not None
            assert one.amdahl_bound > one.speedup
            checked += 1
    assert checked >= 10


def test_a_score_is_the_weighted_sum_of_parts_that_are_shares(found: Comparison) -> None:
    assert WEIGHTS == (0.4, 0.3, 0.3)
    for scenario in found.scenarios:
        for one in scenario.rated:
            if not one.fits:
                assert one.score is None
                continue
            assert one.efficiency is not None
            assert one.quiet is not None
            assert one.memory_efficiency is not None
            parts = (min(1.0, one.efficiency), one.quiet, one.memory_efficiency)
            assert all(0 < part <= 1 for part in parts)
            assert one.score == pytest.approx(0.4 * parts[0] + 0.3 * parts[1] + 0.3 * parts[2])


def test_copies_and_idle_gpus_lower_memory_efficiency() -> None:
    """The same layout with more replicas of all states, and a GPU that holds only its context."""
    small = setting(preset("generic-1b"), cluster(H100, 8), 4096)
    fixed = Constraints(batch=64, tp=1, pp=1, cp=1, micro_batch=1, recompute="none")
    base = compare(small, Constraints(batch=64), [], clusters=[8]).rated[0]

    def efficiency(estimate: Estimate) -> float:
        share = replace(base, estimate=estimate).memory_efficiency
        assert share is not None
        return share

    copied, sharded = (search(small, replace(fixed, zero=zero)).best[0] for zero in (0, 3))
    assert efficiency(copied) < efficiency(sharded)
    idle = replace(sharded.memory, activations=0.0, logits=0.0, weights=0.0, gradients=0.0)
    idle = replace(idle, optimizer=0.0, gathered=0.0)
    spread = replace(base, gpus=8 * 1024, estimate=replace(sharded, memory=idle))
    assert spread.memory_efficiency is not None
    assert spread.memory_efficiency < 0.05 < efficiency(copied)


def test_rankings_hold_what_fits_best_first(found: Comparison) -> None:
    assert [each.model for each in found.scenarios] == list(SCENARIOS)
    for scenario in found.scenarios:
        fitting = {one.strategy.key for one in scenario.rated if one.fits}
        assert {one.strategy.key for one in scenario.by_score} == fitting
        steps = [figures(one).step_s for one in scenario.by_time]
        assert steps == sorted(steps)
        scores = [one.score or 0 for one in scenario.by_score]
        assert scores == sorted(scores, reverse=True)


def test_what_does_not_fit_is_marked_and_has_figures() -> None:
    where = setting(preset("generic-70b"), cluster(H100, 8), 4096)
    rated = compare(where, Constraints(batch=64), [], clusters=[8]).rated
    beyond = [one for one in rated if not one.fits]
    assert beyond
    for one in beyond:
        assert one.reason is not None
        if one.estimate is not None:
            assert one.estimate.memory.total > H100.memory_bytes
            assert one.speedup is not None
        assert one.score is None


def test_gpu_types_are_sorted_by_time_and_say_why_they_cannot(found: Comparison) -> None:
    steps = [one.estimate.step_s for one in found.selected if one.fits and one.estimate]
    assert steps == sorted(steps)
    assert {one.gpu.key for one in found.selected} == {gpu.key for gpu in TYPES}
    assert found.tokens == TOKENS_PER_PARAMETER * WHERE.model.active_parameters
    tight = Constraints(batch=512, precision="fp8")
    reasons = {one.gpu.key: one.reason for one in compare(WHERE, tight, TYPES).selected}
    assert "no fp8 units" in (reasons["v100"] or "")
    assert reasons["h100-sxm"] is None


def test_a_limit_below_all_layouts_leaves_figures_everywhere() -> None:
    limited = replace(BATCH, memory_bytes=2 * GIB)
    result = compare(WHERE, limited, TYPES[:1], clusters=[8])
    assert not any(one.fits for one in result.rated)
    assert not any(one.fits for one in result.selected)
    assert all(one.estimate is not None for one in result.selected)
    assert result.scenarios[1].by_time == ()


@pytest.mark.parametrize("limit_gib", [None, 70.0])
def test_no_gpu_type_fits_more_than_it_has(limit_gib: float | None) -> None:
    limit = None if limit_gib is None else limit_gib * GIB
    result = compare(WHERE, replace(BATCH, memory_bytes=limit), TYPES, clusters=[8])
    used = {one.gpu.key: one.estimate.memory.total for one in result.selected if one.estimate}
    for one in result.selected:
        room = min(limit or one.gpu.memory_bytes, one.gpu.memory_bytes)
        assert one.fits is (used[one.gpu.key] <= room)
    assert used["b200"] > 79.65 * GIB or limit is not None, "it is not held to an H100's"
