"""The smallest cluster that fits."""

from dataclasses import replace

from prodtop.engine.planner.cost.hardware import cluster, find_gpu
from prodtop.engine.planner.cost.setting import setting
from prodtop.engine.planner.search.constraints import Constraints
from prodtop.engine.planner.search.search import search
from prodtop.engine.planner.search.strategies import first_that_fits
from prodtop.engine.shape.presets import preset

SMALL = setting(preset("llama-3.1-70b"), cluster(find_gpu("h100-sxm"), 3), 4096)


def test_the_first_cluster_that_fits_is_twice_one_that_does_not() -> None:
    constraints = Constraints(batch=64)
    found = first_that_fits(SMALL, constraints)
    assert found is not None
    gpus = found.setting.cluster.gpus
    assert gpus > 4
    assert gpus & (gpus - 1) == 0
    half = replace(SMALL, cluster=replace(SMALL.cluster, gpus=gpus // 2))
    assert not search(half, constraints).best


def test_what_never_fits_is_not_found() -> None:
    assert first_that_fits(SMALL, Constraints(batch=1, tp=1, pp=1, cp=1)) is None
