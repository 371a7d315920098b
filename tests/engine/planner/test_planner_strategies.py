"""The five strategies side by side: each is what its name says, none beats the search of all."""

from collections.abc import Callable

import pytest
from prodtop.engine.planner.cost.hardware import cluster, find_gpu
from prodtop.engine.planner.cost.layout import Layout
from prodtop.engine.planner.cost.memory import GIB
from prodtop.engine.planner.cost.setting import Setting, setting
from prodtop.engine.planner.search.constraints import Constraints
from prodtop.engine.planner.search.search import search
from prodtop.engine.planner.search.strategies import STRATEGY_KEYS, best_of, best_of_strategies
from prodtop.engine.shape.presets import preset


def on(gpus: int, name: str = "generic-7b") -> Setting:
    return setting(preset(name), cluster(find_gpu("h100-sxm"), gpus), 4096)


IS_WHAT_IT_SAYS: dict[str, Callable[[Layout], bool]] = {
    "data": lambda one: one.tp == one.pp == 1,
    "model": lambda one: one.tp == 1 < one.pp and one.schedule == "sequential",
    "pipeline": lambda one: one.tp == 1 < one.pp and one.schedule != "sequential",
    "tensor": lambda one: one.pp == 1 < one.tp,
    "3d": lambda one: min(one.dp, one.tp, one.pp) > 1,
}


@pytest.mark.parametrize("name", ["generic-1b", "generic-7b", "generic-70b"])
def test_each_strategy_is_what_its_name_says(name: str) -> None:
    where, constraints = on(32, name), Constraints(batch=256)
    overall = search(where, constraints).winner
    assert overall is not None
    results = best_of_strategies(where, constraints)
    assert [one.strategy.key for one in results] == list(STRATEGY_KEYS)
    for one in results:
        assert one.best is not None
        assert one.limiting is None
        assert one.result is not None
        for found in (*one.result.best, *one.result.front):
            assert IS_WHAT_IT_SAYS[one.strategy.key](found.layout)
        assert one.best.step_s >= overall.step_s or one.strategy.key == "model"


def test_one_stage_at_a_time_is_slower_than_a_pipeline() -> None:
    by_key = {one.strategy.key: one for one in best_of_strategies(on(32), Constraints(batch=256))}
    split, piped = by_key["model"].best, by_key["pipeline"].best
    assert split is not None
    assert piped is not None
    assert split.step_s > 1.5 * piped.step_s


def test_what_does_not_fit_shows_the_leanest() -> None:
    one = best_of("data", on(1, "generic-70b"), Constraints(batch=8))
    assert one.best is None
    assert one.leanest is not None
    assert one.leanest.memory.total > 80 * GIB
    assert one.limiting is not None
    assert one.limiting.field == "memory"


@pytest.mark.parametrize(
    ("key", "fixed", "field"),
    [
        ("data", Constraints(batch=64, tp=2), "tp"),
        ("tensor", Constraints(batch=64, pp=2), "pp"),
        ("pipeline", Constraints(batch=64, schedule="sequential"), "schedule"),
        ("model", Constraints(batch=64, schedule="gpipe"), "schedule"),
        ("3d", Constraints(batch=64, tp=1), "tp"),
    ],
)
def test_what_is_fixed_otherwise_is_said(key: str, fixed: Constraints, field: str) -> None:
    known = next(name for name in STRATEGY_KEYS if name == key)
    one = best_of(known, on(32), fixed)
    assert one.best is one.leanest is None
    assert one.limiting is not None
    assert one.limiting.field == field


def test_a_single_gpu_has_nothing_to_split() -> None:
    results = best_of_strategies(on(1, "llama-3.2-1b"), Constraints(batch=8))
    assert [one.strategy.key for one in results if one.best] == ["data"]
    assert all(one.limiting for one in results if one.strategy.key != "data")


def test_context_parallelism_stays_out_unless_it_is_fixed() -> None:
    free = best_of("data", on(8), Constraints(batch=64))
    fixed = best_of("data", on(8), Constraints(batch=64, cp=2))
    assert free.best is not None
    assert fixed.best is not None
    assert (free.best.layout.cp, fixed.best.layout.cp) == (1, 2)


@pytest.mark.parametrize(
    ("fixed", "named"),
    [
        (Constraints(batch=64, tp=8), "tp is fixed at 8"),
        (Constraints(batch=64, pp=1), "pp is fixed at 1"),
        (Constraints(batch=64, schedule="sequential"), "sequential is fixed"),
    ],
)
def test_a_contradiction_names_what_is_fixed(fixed: Constraints, named: str) -> None:
    results = best_of_strategies(on(8), fixed)
    reasons = [one.limiting.reason for one in results if one.limiting and one.result is None]
    assert reasons
    assert all(reason.startswith(named) for reason in reasons)
