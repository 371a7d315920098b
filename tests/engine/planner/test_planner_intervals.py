"""How sure an estimate says it is."""

import math
from dataclasses import replace

import pytest
from prodtop.engine.planner.cost.calibration import default_constants
from prodtop.engine.planner.cost.estimate import Estimate, estimate
from prodtop.engine.planner.cost.hardware import cluster, find_gpu, known_gpus
from prodtop.engine.planner.cost.intervals import classes, interval
from prodtop.engine.planner.cost.layout import Layout
from prodtop.engine.planner.cost.setting import Setting, setting
from prodtop.engine.shape.presets import preset


def on(gpu: str, software: str, model: str = "llama-3.1-8b") -> Estimate:
    """Eight GPUs in replicas."""
    where = setting(preset(model), cluster(find_gpu(gpu), 8), 4096, software)
    return estimate(where, Layout(dp=8, zero=1, micro_batch=1))


@pytest.mark.parametrize("gpu", known_gpus())
def test_every_estimate_has_an_interval_that_holds_it(gpu: str) -> None:
    for software in default_constants().software:
        found = on(gpu, software)
        for one, value in (
            (found.step_interval, found.step_s),
            (found.memory_interval, found.memory.total),
        ):
            low, high = one.bounds(value)
            assert 0 < low < value < high < math.inf
            assert one.runs >= 10 or one.basis == "all"


def test_a_class_without_runs_says_so() -> None:
    found = on("tpu-v5e", "nanotron").step_interval
    assert not found.own
    assert found.words.startswith("no runs of its class")


def test_a_class_with_runs_is_its_own() -> None:
    found = on("a100-80", "fsdp-2023", "generic-7b").step_interval
    known = on("h100-sxm", "nemo-2023").step_interval
    assert known.own
    assert "no runs" not in known.words
    assert found.basis != known.basis


def test_kinds_of_training_are_classes_apart() -> None:
    dense = on("h100-sxm", "megatron-core").setting
    frozen: Setting = replace(dense, frozen=True)
    layout = Layout(dp=8)
    assert set(classes(dense, layout)) & set(classes(frozen, layout)) == {"all"}
    assert interval(frozen, layout, "time").basis != interval(dense, layout, "time").basis
