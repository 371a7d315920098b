"""Every formula says what its figure is: worked out again from its inputs."""

from dataclasses import replace

import pytest
from prodtop.engine.planner.cost.estimate import Estimate, estimate
from prodtop.engine.planner.cost.hardware import cluster, find_gpu
from prodtop.engine.planner.cost.layout import Layout
from prodtop.engine.planner.cost.setting import setting
from prodtop.engine.planner.cost.terms import Term
from prodtop.engine.planner.explain.figures import (
    explain_amdahl,
    explain_bubble,
    explain_communication,
    explain_cost,
    explain_energy,
    explain_hfu,
    explain_samples,
    explain_scaling,
    explain_training,
)
from prodtop.engine.shape.presets import preset

TOKENS = 1e12


def estimated(gpus: int = 32, dp: int = 2) -> Estimate:
    where = cluster(find_gpu("h100-sxm"), gpus)
    layout = Layout(dp=dp, tp=8, pp=2, zero=1, sequence_parallel=True, micro_batches=64 // dp, vp=2)
    return estimate(setting(preset("llama-2-70b"), where, 4096), layout)


def worked_out(term: Term) -> float:
    """The formula as arithmetic over its inputs."""
    return float(eval(term.formula, {"__builtins__": {}}, dict(term.inputs)))


@pytest.mark.parametrize(
    "term",
    [
        explain_samples(estimated()),
        explain_hfu(estimated()),
        explain_communication(estimated()),
        explain_bubble(estimated()),
        explain_amdahl(estimated()),
        explain_training(estimated(), TOKENS),
        explain_cost(estimated(), TOKENS, 2.5),
        explain_energy(estimated(), TOKENS),
        explain_scaling(estimated(64, 4), estimated()),
    ],
    ids=lambda term: term.name,
)
def test_a_formula_gives_its_figure(term: Term) -> None:
    assert worked_out(term) == pytest.approx(term.value)
    assert term.value > 0


def test_figures_are_those_of_the_estimate() -> None:
    result = estimated()
    assert explain_cost(result, TOKENS, 2.5).value == result.training_cost(TOKENS, 2.5)
    assert explain_communication(result).value == result.communication_share
    assert explain_hfu(result).value == result.hfu()


def test_scaling_by_itself_is_linear() -> None:
    result = estimated()
    assert explain_scaling(result, result).value == 1.0
    assert explain_scaling(estimated(64, 4), result).value < 1.0


def test_a_layout_without_a_pipeline_has_no_bubble() -> None:
    flat = replace(estimated().layout, pp=1, vp=1, dp=4, micro_batches=16)
    assert explain_bubble(estimate(estimated().setting, flat)).value == 0.0
