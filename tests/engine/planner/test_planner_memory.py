"""Memory against published tables and sums by hand."""

from dataclasses import replace

import pytest
from prodtop.engine.planner.cost.activations import in_flight_layers, layer_activation_bytes
from prodtop.engine.planner.cost.hardware import Precision, cluster, find_gpu
from prodtop.engine.planner.cost.layout import Layout
from prodtop.engine.planner.cost.memory import memory, model_states
from prodtop.engine.planner.cost.setting import Setting, setting
from prodtop.engine.planner.cost.stages import rank_parameters
from prodtop.engine.shape.model_shape import ModelShape
from prodtop.engine.shape.presets import preset

GPT_22B = ModelShape(
    name="gpt-22b",
    layers=48,
    hidden=6144,
    heads=64,
    kv_heads=64,
    head_dim=96,
    intermediate=4 * 6144,
    vocabulary=51_200,
    gated_mlp=False,
    tied_embeddings=True,
    layer_norm=True,
    qkv_bias=True,
    output_bias=True,
    mlp_bias=True,
    dropout=True,
)
"""Korthikanti et al. 2022, table 3."""


def on(model: ModelShape, gpus: int, software: str = "megatron-2021", seq: int = 2048) -> Setting:
    return setting(model, cluster(find_gpu("a100-80"), gpus), seq, software)


# Table 2 of Korthikanti et al. 2022, as multiples of s b h, with a s / h = 64 · 2048 / 6144.
_SCORES = 5 * 64 * 2048 / 6144


@pytest.mark.parametrize(
    ("layout", "per_element"),
    [
        (Layout(), 34 + _SCORES),
        (Layout(tp=8), 10 + 24 / 8 + _SCORES / 8),
        (Layout(tp=8, sequence_parallel=True), (34 + _SCORES) / 8),
        (Layout(tp=8, recompute="selective"), 10 + 24 / 8),
        (Layout(tp=8, sequence_parallel=True, recompute="selective"), 34 / 8),
        (Layout(tp=8, recompute="full"), 2),
        (Layout(tp=8, sequence_parallel=True, recompute="full"), 2 / 8),
    ],
)
def test_activations_per_layer_are_korthikantis(layout: Layout, per_element: float) -> None:
    layout = replace(layout, micro_batch=4)
    found = layer_activation_bytes(on(GPT_22B, layout.world), layout)
    # The log-sum-exp of flash attention, 4 bytes per head and token, is not in the paper's table.
    extra = 4 * 64 / 6144 / layout.tp if layout.recompute != "full" else 0
    assert found / (4 * 2048 * 6144) == pytest.approx(per_element + extra, rel=1e-9)


@pytest.mark.parametrize(
    ("precision", "zero", "dp", "expected"),
    [
        ("bf16", 0, 8, 18),
        ("bf16", 1, 8, 6 + 12 / 8),
        ("fp16", 0, 8, 20),
        ("fp16", 1, 8, 4 + 16 / 8),
        ("fp32", 0, 8, 16),
        ("fp32", 1, 8, 8 + 8 / 8),
    ],
)
def test_state_bytes_per_parameter_are_megatrons(
    precision: Precision, zero: int, dp: int, expected: float
) -> None:
    """Megatron-LM docs, `dist_optimizer.md`."""
    layout = Layout(dp=dp, zero=zero, precision=precision)
    states = model_states(on(GPT_22B, dp), layout)
    held = rank_parameters(GPT_22B, layout).total
    kept = states.weights + states.gradients + states.optimizer
    assert kept / held == pytest.approx(expected)


def test_fsdp_shards_sixteen_bytes_per_parameter() -> None:
    model = preset("llama-3.1-8b")
    layout = Layout(dp=8, zero=3)
    states = model_states(on(model, 8, "torch"), layout)
    kept = states.weights + states.gradients + states.optimizer
    assert kept == pytest.approx(16 * model.parameters / 8)
    assert states.gathered > 0


def test_experts_are_sharded_over_the_ranks_that_hold_the_same_ones() -> None:
    model = preset("qwen3-30b-a3b")
    layout = Layout(dp=16, ep=8, zero=1)
    held = rank_parameters(model, layout)
    assert held.experts == pytest.approx(model.moe_layers * model.routed_parameters / 8)
    optimizer = model_states(on(model, 16, "megatron-core"), layout).optimizer
    assert optimizer == pytest.approx(12 * (held.dense / 16 + held.experts / 2))


@pytest.mark.parametrize(
    ("layout", "layers"),
    [
        (Layout(pp=4, micro_batches=16), 12 * 4),
        (Layout(pp=4, micro_batches=2), 12 * 2),
        (Layout(pp=4, micro_batches=16, schedule="gpipe"), 12 * 16),
        (Layout(pp=4, vp=3, micro_batches=16), 48 * (1 + 3 / (4 * 3))),
        (Layout(pp=4, micro_batches=16, schedule="sequential"), 12),
    ],
)
def test_layers_in_flight(layout: Layout, layers: float) -> None:
    """GPipe holds all micro-batches, 1F1B as many as stages, interleaving L (1 + (p-1)/(p v))."""
    assert in_flight_layers(on(GPT_22B, 4), layout) == pytest.approx(layers)


def test_the_parts_are_the_whole() -> None:
    found = memory(on(GPT_22B, 8), Layout(tp=8, micro_batch=4))
    parts = found.weights + found.gradients + found.optimizer + found.gathered
    parts += found.activations + found.logits + found.context + found.reserve
    assert found.total == pytest.approx(parts)


def test_offloading_takes_the_states_off_the_gpu() -> None:
    layout = Layout(dp=8, zero=3)
    here = memory(on(GPT_22B, 8, "torch"), layout)
    away = memory(on(GPT_22B, 8, "torch"), replace(layout, offload="all"))
    assert here.optimizer > 0
    assert away.optimizer == away.weights == 0


def test_a_large_vocabulary_makes_the_last_stage_the_fullest() -> None:
    """With full recomputation the first stage keeps little, and the logits outweigh it."""
    shape = replace(GPT_22B, vocabulary=512_000)
    layout = Layout(pp=8, micro_batches=8, recompute="full")
    large, small = (memory(on(model, 8), layout) for model in (shape, GPT_22B))
    assert large.logits >= 10 * 2048 * 512_000
    assert large.total > small.total


def test_norms_on_both_sides_keep_their_inputs_too() -> None:
    gemma = preset("gemma-2-2b")
    plain = replace(gemma, norms_per_layer=2)
    both, before = (layer_activation_bytes(on(model, 1), Layout()) for model in (gemma, plain))
    assert both - before == 2 * 2 * 2048 * gemma.hidden
