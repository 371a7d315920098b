"""What an engine cannot be told is refused by the name of the field, never left out in silence."""

from dataclasses import replace

import pytest
from planned_layouts import Plan, plan
from prodtop.engine.planner.cost.hardware import Cluster, find_gpu
from prodtop.engine.planner.cost.layout import Layout
from prodtop.engine.planner.export.contract import InexpressibleError, TrainingRun
from prodtop.engine.planner.export.engines import ENGINES, export
from prodtop.engine.shape.field_errors import FieldError
from prodtop.engine.shape.parts import Activation

RUN = TrainingRun()
FSDP = Layout(dp=8, zero=3)
TITAN = ("torchtitan", "torchtitan-main", "torchtitan-0.2.2")


def refused(engine: str, planned: Plan, field: str) -> InexpressibleError:
    with pytest.raises(InexpressibleError) as caught:
        export(engine, *planned, RUN)
    assert caught.value.field == field, str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    return caught.value


@pytest.mark.parametrize("engine", ENGINES)
def test_fsdp_is_expressed_by_all(engine: str) -> None:
    setting, layout = plan("llama-3.1-8b", FSDP)
    exported = export(engine, setting, layout, RUN)
    assert exported.text.endswith("\n")
    assert exported.file_name in exported.launch or exported.file_name.split(".")[0] in (
        exported.launch
    )


@pytest.mark.parametrize("engine", TITAN)
@pytest.mark.parametrize(
    ("layout", "field"),
    [
        (Layout(dp=8, zero=1), "zero"),
        (Layout(dp=2, cp=4), "zero"),
        (Layout(dp=8, zero=3, optimizer="muon"), "optimizer"),
        (Layout(dp=8, zero=3, precision="fp16"), "precision"),
        (Layout(dp=8, zero=3, offload="optimizer"), "offload"),
        (Layout(dp=8, zero=3, offload="activations"), "offload"),
        (Layout(dp=8, offload="all"), "offload"),
        (Layout(dp=8, zero=3, recompute="full", recompute_layers=4), "recompute_layers"),
        (
            Layout(dp=8, zero=3, recompute="selective", recompute_modules=("core_attn",)),
            "recompute_modules",
        ),
        (Layout(dp=2, pp=4, zero=3, micro_batches=2), "micro_batches"),
        (Layout(pp=8, schedule="sequential"), "schedule"),
        (Layout(dp=4, cp=2, zero=3, dp_shard=1), "dp_shard"),
        (Layout(dp=2, tp=16, zero=3, sequence_parallel=True), "tp"),
    ],
)
def test_torchtitan_refuses(engine: str, layout: Layout, field: str) -> None:
    assert engine.split("-")[0] in str(refused(engine, plan("llama-3.1-8b", layout), field))


@pytest.mark.parametrize(
    ("model", "layout", "field"),
    [
        ("llama-3.1-8b", Layout(dp=4, tp=2, zero=3), "sequence_parallel"),
        ("llama-3.1-8b", Layout(dp=4, tp=2, sequence_parallel=True), "zero"),
        ("llama-3.1-8b", Layout(tp=8, sequence_parallel=True), "precision"),
        ("qwen3-14b", Layout(dp=4, pp=2, zero=3, micro_batches=4), "pp"),
        ("deepseek-v3", Layout(dp=4, cp=2, zero=3), "cp"),
        ("qwen3-30b-a3b", Layout(dp=4, tp=2, zero=3, sequence_parallel=True), "expert_tp"),
    ],
)
def test_the_last_toml_release_refuses_what_came_later(
    model: str, layout: Layout, field: str
) -> None:
    refused("torchtitan-0.2.2", plan(model, layout), field)


def test_torchtitan_takes_models_by_shape_and_refuses_others() -> None:
    setting, layout = plan("llama-3.1-8b", FSDP)
    own = replace(setting, model=replace(setting.model, name="my finetune"))
    assert 'flavor = "8B"' in export("torchtitan-0.2.2", own, layout, RUN).text
    wider = replace(setting, model=replace(setting.model, intermediate=16_384))
    assert "llama-3.1-8b" in refused("torchtitan", (wider, layout), "model").reason


def test_torchtitan_cannot_tie_embeddings_across_stages() -> None:
    layout = Layout(dp=4, pp=2, zero=3, micro_batches=2)
    refused("torchtitan", plan("llama-3.2-1b", layout), "pp")


@pytest.mark.parametrize(
    ("model", "layout", "field"),
    [
        ("llama-3.1-8b", Layout(pp=8, schedule="sequential"), "schedule"),
        ("llama-3.1-8b", Layout(pp=8, schedule="gpipe"), "schedule"),
        ("llama-3.1-8b", Layout(dp=4, pp=2, zero=3), "zero"),
        ("llama-3.1-8b", Layout(dp=8, zero=1, optimizer="adafactor"), "optimizer"),
        ("llama-3.1-8b", Layout(dp=8, zero=1, optimizer="muon"), "optimizer"),
        ("llama-3.1-8b", Layout(dp=8, zero=1, precision="tf32"), "precision"),
        ("llama-3.1-8b", Layout(dp=8, zero=3, offload="all"), "offload"),
        ("llama-3.1-8b", Layout(dp=8, zero=3, offload="activations"), "offload"),
        ("llama-3.1-8b", Layout(dp=8, offload="optimizer"), "offload"),
        (
            "llama-3.1-8b",
            Layout(dp=8, recompute="selective", recompute_modules=("op",)),
            "recompute_modules",
        ),
        ("mixtral-8x7b", Layout(dp=4, tp=2, ep=4), "sequence_parallel"),
        ("gpt-oss-20b", Layout(dp=8), "model"),
        ("qwen3-30b-a3b", Layout(dp=8, ep=8, zero=1, dp_shard=4), "dp_shard"),
    ],
)
def test_megatron_refuses(model: str, layout: Layout, field: str) -> None:
    refused("megatron", plan(model, layout, software="megatron-core"), field)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"parallel_blocks": True}, "blocks side by side"),
        ({"norms_per_layer": 4}, "4 norms a layer"),
        ({"head_bias": True}, "output layer's bias"),
        ({"qkv_bias": True, "output_bias": True}, "biases of some projections"),
        ({"activation": Activation.GELU_TANH}, "gated GELU"),
    ],
)
def test_megatron_is_not_given_another_model_than_was_planned(
    change: dict[str, object], reason: str
) -> None:
    setting, layout = plan("llama-3.1-8b", Layout(dp=8), software="megatron-core")
    # The fields are of many types, which `replace` cannot know here.
    other = replace(setting.model, **change)  # type: ignore[arg-type]
    error = refused("megatron", (replace(setting, model=other), layout), "model")
    assert reason in str(error)


@pytest.mark.parametrize(
    ("model", "layout", "field"),
    [
        ("llama-3.1-8b", Layout(dp=4, pp=2), "pp"),
        ("llama-3.1-8b", Layout(dp=4, cp=2), "cp"),
        ("llama-3.1-8b", Layout(dp=4, tp=2, sequence_parallel=True), "sequence_parallel"),
        ("llama-3.1-8b", Layout(dp=8, zero=3, dp_shard=4), "dp_shard"),
        ("llama-3.1-8b", Layout(dp=8, precision="fp8"), "precision"),
        ("llama-3.1-8b", Layout(dp=8, optimizer="adafactor"), "optimizer"),
        ("llama-3.1-8b", Layout(dp=8, recompute="selective"), "recompute"),
        ("llama-3.1-8b", Layout(dp=8, recompute="full", recompute_layers=2), "recompute_layers"),
        ("llama-3.1-8b", Layout(dp=8, offload="optimizer"), "offload"),
        ("llama-3.1-8b", Layout(dp=8, zero=2, offload="all"), "offload"),
        ("llama-3.1-8b", Layout(dp=8, zero=2, offload="activations"), "offload"),
        ("llama-3.1-8b", Layout(dp=8, zero=2, offload="optimizer", optimizer="sgd"), "offload"),
        ("mixtral-8x7b", Layout(dp=4, tp=2), "ep"),
        ("mixtral-8x7b", Layout(dp=4, tp=2, ep=4, expert_tp=2), "expert_tp"),
        ("mixtral-8x7b", Layout(dp=4, tp=2, ep=4, zero=1, offload="optimizer"), "offload"),
    ],
)
def test_deepspeed_refuses(model: str, layout: Layout, field: str) -> None:
    refused("deepspeed", plan(model, layout), field)


@pytest.mark.parametrize(
    ("model", "layout", "field"),
    [
        ("llama-3.1-8b", Layout(dp=8), "zero"),
        ("llama-3.1-8b", Layout(dp=8, zero=1), "zero"),
        ("llama-3.1-8b", Layout(zero=3), "zero"),
        ("llama-3.1-8b", Layout(dp=4, cp=2, zero=3, dp_shard=2), "dp_shard"),
        ("llama-3.1-8b", Layout(dp=4, pp=2, zero=3), "pp"),
        ("llama-3.1-8b", Layout(dp=4, tp=2, zero=3, sequence_parallel=True), "sequence_parallel"),
        ("llama-3.1-8b", Layout(dp=4, tp=16, zero=3), "tp"),
        ("llama-3.1-8b", Layout(dp=8, zero=3, precision="fp8"), "precision"),
        ("llama-3.1-8b", Layout(dp=8, zero=3, recompute="selective"), "recompute"),
        (
            "llama-3.1-8b",
            Layout(dp=8, zero=3, recompute="full", recompute_layers=2),
            "recompute_layers",
        ),
        ("llama-3.1-8b", Layout(dp=8, zero=3, offload="optimizer"), "offload"),
        ("mixtral-8x7b", Layout(dp=8, zero=3, ep=8), "ep"),
        ("mixtral-8x7b", Layout(dp=4, tp=2, zero=3, expert_tp=2), "expert_tp"),
    ],
)
def test_accelerate_refuses(model: str, layout: Layout, field: str) -> None:
    refused("accelerate", plan(model, layout), field)


@pytest.mark.parametrize("engine", ENGINES)
def test_adapters_and_unlike_nodes_are_refused_by_all(engine: str) -> None:
    setting, layout = plan("llama-3.1-8b", FSDP)
    refused(engine, (replace(setting, frozen=True), layout), "frozen")
    twelve = Layout(dp=12, zero=3)
    cluster = Cluster(gpu=find_gpu("h100"), gpus=12, node_gpus=8)
    refused(engine, (replace(setting, cluster=cluster), twelve), "gpus")


@pytest.mark.parametrize("engine", ENGINES)
def test_what_cannot_be_run_at_all_is_no_matter_of_the_engine(engine: str) -> None:
    setting, _ = plan("llama-3.1-8b", FSDP)
    with pytest.raises(FieldError, match="4 GPUs, but the cluster has 8") as caught:
        export(engine, setting, Layout(dp=4, zero=3), RUN)
    assert not isinstance(caught.value, InexpressibleError)


def test_an_unknown_engine_is_answered_with_the_known_ones() -> None:
    with pytest.raises(FieldError, match=r"unknown engine 'nemo'.*megatron"):
        export("nemo", *plan("llama-3.1-8b", FSDP), RUN)


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"steps": 0}, "steps"),
        ({"learning_rate": float("nan")}, "learning_rate"),
        ({"script": " "}, "script"),
        ({"script": "a\nb"}, "script"),
    ],
)
def test_a_run_that_is_none_is_refused(values: dict[str, object], field: str) -> None:
    with pytest.raises(FieldError) as caught:
        replace(RUN, **values)  # type: ignore[arg-type]  # The values are wrong on purpose.
    assert caught.value.field == field
