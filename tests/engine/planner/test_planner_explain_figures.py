"""Every formula says what its figure is: worked out again from its inputs."""

from dataclasses import fields, replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from prodtop.engine.planner.cost.calibration import default_constants
from prodtop.engine.planner.cost.estimate import Estimate, estimate
from prodtop.engine.planner.cost.hardware import cluster, find_gpu, known_gpus
from prodtop.engine.planner.cost.layout import Layout
from prodtop.engine.planner.cost.memory import Memory
from prodtop.engine.planner.cost.setting import setting
from prodtop.engine.planner.explain.figures import explain
from prodtop.engine.planner.explain.memory import MEMORY_PARTS
from prodtop.engine.planner.explain.step import STEP_PARTS
from prodtop.engine.planner.explain.terms import term
from prodtop.engine.shape.field_errors import FieldError
from prodtop.engine.shape.presets import PRESETS, preset
from term_checks import assert_terms_hold, named

TOKENS = 1e12


def estimated(gpus: int = 32, dp: int = 2) -> Estimate:
    where = cluster(find_gpu("h100-sxm"), gpus)
    layout = Layout(dp=dp, tp=8, pp=2, zero=1, sequence_parallel=True, micro_batches=64 // dp, vp=2)
    return estimate(setting(preset("llama-2-70b"), where, 4096), layout)


@pytest.mark.parametrize(
    "name",
    [
        "samples per second",
        "HFU",
        "communication overhead",
        "bubble share",
        "Amdahl's bound",
        "training time",
        "cost",
        "energy",
        "scaling efficiency",
        "throughput",
        "MFU",
        "parameters",
    ],
)
def test_a_formula_gives_its_figure(name: str) -> None:
    figures = explain(estimated(64, 4), TOKENS, 2.5, estimated())
    one = next(figure for figure in figures if figure.name == name)
    assert_terms_hold(one)
    assert one.value > 0


def test_figures_are_those_of_the_estimate() -> None:
    result = estimated()
    figures = explain(result, TOKENS, 2.5)
    assert named("cost", *figures).value == result.training_cost(TOKENS, 2.5)
    assert named("communication overhead", *figures).value == result.communication_share
    assert named("HFU", *figures).value == result.hfu()


def test_scaling_by_itself_is_linear() -> None:
    result = estimated()
    alone = explain(result, TOKENS, base=result)
    assert named("scaling efficiency", *alone).value == 1.0
    wider = explain(estimated(64, 4), TOKENS, base=result)
    assert named("scaling efficiency", *wider).value < 1.0


def test_without_a_price_or_a_base_there_is_no_cost_and_no_scaling() -> None:
    names = {figure.name for figure in explain(estimated(), TOKENS)}
    assert not names & {"cost", "scaling efficiency"}


def test_a_layout_without_a_pipeline_has_no_bubble() -> None:
    flat = replace(estimated().layout, pp=1, vp=1, dp=4, micro_batches=16)
    figures = explain(estimate(estimated().setting, flat), TOKENS)
    assert named("bubble share", *figures).value == 0.0


def test_a_name_that_no_record_has_is_an_error() -> None:
    with pytest.raises(LookupError, match="'dp_overlap'"):
        term("any", "value = dp_overlap * 2", Layout(), value=1.0)


_LAYOUTS = st.builds(
    Layout,
    dp=st.sampled_from([1, 2, 3, 8, 64]),
    tp=st.sampled_from([1, 2, 4, 8]),
    pp=st.sampled_from([1, 2, 4, 8]),
    vp=st.sampled_from([1, 1, 2, 4]),
    cp=st.sampled_from([1, 1, 2, 4]),
    ep=st.sampled_from([1, 1, 2, 8]),
    expert_tp=st.sampled_from([1, 1, 2]),
    zero=st.integers(0, 3),
    dp_shard=st.sampled_from([0, 0, 2, 8]),
    sequence_parallel=st.booleans(),
    micro_batch=st.integers(1, 8),
    micro_batches=st.sampled_from([1, 4, 8, 64]),
    recompute=st.sampled_from(["none", "selective", "full"]),
    recompute_layers=st.integers(-1, 4),
    recompute_modules=st.sampled_from([(), ("core_attn",), ("mlp",), ("layernorm",), ("moe",)]),
    precision=st.sampled_from(["bf16", "fp8", "fp16", "fp32"]),
    offload=st.sampled_from(["none", "none", "activations", "optimizer", "all"]),
    optimizer=st.sampled_from(["adamw", "adamw8bit", "sgd"]),
    schedule=st.sampled_from(["1f1b", "1f1b", "gpipe", "sequential"]),
)


@settings(deadline=None, max_examples=200)
@given(
    layout=_LAYOUTS,
    model=st.sampled_from(sorted(PRESETS)),
    gpu=st.sampled_from(sorted(known_gpus())),
    software=st.sampled_from(sorted(default_constants().software)),
    frozen=st.sampled_from([False, False, False, True]),
)
def test_every_term_of_every_layout_holds(
    layout: Layout, model: str, gpu: str, software: str, frozen: bool
) -> None:
    """Whatever is split how: formulas give their values, and parts add up to the whole."""
    where = setting(preset(model), cluster(find_gpu(gpu), layout.world), 4096, software)
    try:
        result = estimate(replace(where, frozen=frozen), layout)
    except FieldError:
        assume(condition=False)
        raise
    figures = explain(result, TOKENS, 2.0, result)
    assert_terms_hold(*figures)
    memory, step = figures[:2]
    assert memory.value == result.memory.total
    assert [part.value for part in memory.parts] == [
        getattr(result.memory, field) for field in MEMORY_PARTS
    ]
    assert step.value == result.step_s
    assert [part.value for part in step.parts] == [
        getattr(result.time, field) for field in STEP_PARTS
    ]
    assert [part.name for part in step.parts] == list(STEP_PARTS.values())


def test_every_part_of_the_records_has_a_name() -> None:
    parts = {field.name for field in fields(Memory) if field.type is float or field.type == "float"}
    assert parts - set(MEMORY_PARTS) == {"working"}
    assert list(STEP_PARTS) == list(estimated().time._fields[: len(STEP_PARTS)])
