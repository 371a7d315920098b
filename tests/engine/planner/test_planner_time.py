"""Step time: sums by hand, published runs as a whole, and what must hold for every layout."""

import math
from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from prodtop.engine.planner.cost.calibration import Software, default_constants
from prodtop.engine.planner.cost.communication import (
    Group,
    all_reduce,
    exchange,
    gather,
    place,
)
from prodtop.engine.planner.cost.estimate import Estimate, estimate
from prodtop.engine.planner.cost.hardware import cluster, find_gpu
from prodtop.engine.planner.cost.layout import Layout, check_layout
from prodtop.engine.planner.cost.memory import memory
from prodtop.engine.planner.cost.products import rates
from prodtop.engine.planner.cost.schedule import layer_time
from prodtop.engine.planner.cost.setting import Setting, setting
from prodtop.engine.planner.explain.step import STEP_PARTS
from prodtop.engine.shape.field_errors import FieldError
from prodtop.engine.shape.presets import preset

H100 = find_gpu("h100-sxm")
MODEL = preset("llama-3.1-8b")


def on(gpus: int, name: str = "llama-3.1-8b", sequence: int = 4096) -> Setting:
    return setting(preset(name), cluster(H100, gpus), sequence)


def test_a_large_product_runs_near_the_reachable_peak() -> None:
    rate = rates(on(1), "bf16")
    flops = 2 * 16_384**3
    reachable = H100.bf16_flops * default_constants().gpu("h100-sxm").gemm_bf16
    assert rate.gemm_s(16_384, 16_384, 16_384) == pytest.approx(flops / reachable, rel=0.01)


def test_a_thin_product_is_bound_by_memory() -> None:
    rate = rates(on(1), "bf16")
    moved = 2 * (4096 + 4096 * 4096 + 4096)
    assert rate.gemm_s(1, 4096, 4096) >= moved / (H100.hbm_bytes_s)


def test_a_gather_in_a_node_by_hand() -> None:
    """Seven eighths of 8 GB over 450 GB/s times its efficiency, and seven steps' latency."""
    where = on(8)
    measured = where.measured
    expected = 7 / 8 * 8e9 / (450e9 * measured.link) + 7 * measured.link_alpha_s
    assert gather(where, Group(8, 1), 8e9).seconds == pytest.approx(expected)
    assert all_reduce(where, Group(8, 1), 8e9).seconds == pytest.approx(2 * expected)


def test_the_network_binds_a_group_with_one_rank_a_node() -> None:
    where = on(64)
    expected = 7 / 8 * 8e9 / (50e9 * where.measured.network)
    assert gather(where, Group(1, 8), 8e9).seconds == pytest.approx(expected, rel=0.01)


def test_tokens_cross_the_network_once_per_node() -> None:
    """With as many experts active as there are nodes, fewer copies leave than experts are met."""
    where = on(64)
    group = Group(8, 8)
    once = 1e9 / (50e9 * where.measured.network)
    assert once < exchange(where, group, 1e9, 8).seconds < 8 * once


@pytest.mark.parametrize(
    ("size", "stride", "group"),
    [
        (8, 1, Group(8, 1)),
        (16, 1, Group(8, 2)),
        (4, 8, Group(1, 4)),
        (4, 4, Group(2, 2)),
        (1, 8, Group(1, 1)),
        (6, 2, Group(3, 2)),
    ],
)
def test_ranks_fill_nodes_in_order(size: int, stride: int, group: Group) -> None:
    assert place(size, stride, 8) == group


def test_the_bubble_is_narayanans() -> None:
    """(p - 1) / m of the ideal time, and that over v when interleaved, up to the head's share."""
    plain = estimate(on(8), Layout(pp=8, micro_batches=64, zero=1)).time
    chunks = estimate(on(8), Layout(pp=8, vp=4, micro_batches=64, zero=1)).time
    assert plain.bubble_share == pytest.approx(7 / (64 + 7), rel=0.3)
    assert chunks.bubble_s == pytest.approx(plain.bubble_s / 4, rel=0.05)


def test_a_sequential_split_uses_one_stage_at_a_time() -> None:
    split = estimate(on(4), Layout(pp=4, micro_batches=8, schedule="sequential")).time
    piped = estimate(on(4), Layout(pp=4, micro_batches=8)).time
    assert split.total_s > 2.2 * piped.total_s


@pytest.mark.parametrize(
    ("name", "gpus", "layout", "seconds"),
    [
        # Narayanan et al. 2021, table 1: step times that its FLOPs formula gives.
        ("gpt3-175b", 1536, Layout(dp=16, tp=8, pp=12, micro_batches=96), 20.8),
        ("gpt3-175b", 384, Layout(dp=4, tp=8, pp=12, micro_batches=384), 76.8),
    ],
)
def test_published_steps_that_no_constant_was_fitted_to(
    name: str, gpus: int, layout: Layout, seconds: float
) -> None:
    """GPT-3 175B with tensor and pipeline parallelism, table 2 of the same paper."""
    where = setting(preset(name), cluster(find_gpu("a100-80"), gpus), 2048, "megatron-2021")
    layout = replace(layout, recompute="full", precision="fp16")
    assert estimate(where, layout).step_s == pytest.approx(seconds, rel=0.1)


_LAYOUTS = st.builds(
    Layout,
    dp=st.sampled_from([1, 2, 3, 8, 64]),
    tp=st.sampled_from([1, 2, 4, 8]),
    pp=st.sampled_from([1, 2, 4, 8]),
    vp=st.sampled_from([1, 2, 4]),
    cp=st.sampled_from([1, 2, 4]),
    zero=st.integers(0, 3),
    sequence_parallel=st.booleans(),
    micro_batch=st.integers(1, 8),
    micro_batches=st.integers(1, 64),
    recompute=st.sampled_from(["none", "selective", "full"]),
    recompute_layers=st.integers(-1, 4),
    recompute_modules=st.sampled_from([(), ("core_attn",), ("mlp",), ("layernorm",), ("op",)]),
    precision=st.sampled_from(["bf16", "fp8"]),
    offload=st.sampled_from(["none", "optimizer", "all"]),
)


def planned(layout: Layout, software: str = "megatron-core") -> Estimate:
    where = setting(MODEL, cluster(H100, layout.world), 4096, software)
    try:
        return estimate(where, layout)
    except FieldError:
        assume(condition=False)
        raise


@settings(deadline=None)
@given(_LAYOUTS, st.sampled_from(sorted(default_constants().software)))
def test_no_part_is_negative_and_parts_are_the_whole(layout: Layout, software: str) -> None:
    found = planned(layout, software)
    names = (*STEP_PARTS, "bubble_share", "data_traffic_s")
    parts = [getattr(found.time, name) for name in names]
    assert all(part >= 0 and math.isfinite(part) for part in parts)
    time = found.time
    whole = time.compute_s + time.communication_s + time.bubble_s + time.optimizer_s
    whole += time.offload_s + time.overhead_s + time.straggler_s
    assert time.total_s == pytest.approx(whole)
    assert 0 < found.mfu() < 1
    assert 0 < found.hfu() < 1
    assert layout.world == found.setting.cluster.gpus


@settings(deadline=None)
@given(_LAYOUTS, st.sampled_from(sorted(default_constants().software)), st.booleans())
def test_hardware_flops_are_the_models_and_what_is_recomputed(
    layout: Layout, software: str, causal: bool
) -> None:
    found = planned(layout, software)
    model, hardware = found.mfu(causal=causal), found.hfu(causal=causal)
    plain = planned(replace(layout, recompute="none"), software)
    assert plain.hfu(causal=causal) == plain.mfu(causal=causal)
    assert model <= hardware <= model * 4 / 3 + 1e-12
    full = planned(replace(layout, recompute="full", recompute_layers=-1), software)
    ratio = full.hfu(causal=causal) / full.mfu(causal=causal)
    assert hardware / model <= ratio + 1e-12


def test_full_recomputation_runs_the_layers_four_thirds_times() -> None:
    """All but the logits, `6 V h`, which are never computed again."""
    layout = Layout(dp=8, zero=3, recompute="full")
    found = planned(layout)
    whole = MODEL.flops_per_token(4096)
    layers = whole - 6 * MODEL.vocabulary * MODEL.hidden
    assert found.hfu() / found.mfu() == pytest.approx(1 + layers / 3 / whole)


def test_recomputing_some_layers_lies_between_none_and_all() -> None:
    some = planned(Layout(dp=8, zero=3, recompute="full", recompute_layers=8))
    none, every = (planned(replace(some.layout, recompute_layers=n)) for n in (0, -1))
    again = [found.time.recompute_s for found in (none, some, every)]
    assert again == [0, pytest.approx(again[2] / 4), again[2]]
    assert none.step_s < some.step_s < every.step_s
    assert none.memory.total > some.memory.total > every.memory.total


@settings(deadline=None)
@given(_LAYOUTS)
def test_more_tokens_take_longer(layout: Layout) -> None:
    more = replace(layout, micro_batches=layout.micro_batches + 1)
    wider = replace(layout, micro_batch=layout.micro_batch + 1)
    assert planned(layout).step_s < planned(more).step_s
    assert planned(layout).step_s <= planned(wider).step_s


@settings(deadline=None)
@given(_LAYOUTS)
def test_tensor_parallelism_saves_memory(layout: Layout) -> None:
    assume(layout.tp > 1)
    whole = replace(layout, tp=1, sequence_parallel=False)
    split, alone = planned(layout).memory, planned(whole).memory
    assert split.weights <= alone.weights
    # One end of the pipeline may take over from the other as the fullest: compare their sums.
    assert split.activations + split.logits <= alone.activations + alone.logits
    assert split.allocated < alone.allocated


@settings(deadline=None)
@given(_LAYOUTS)
def test_recomputation_trades_time_for_memory(layout: Layout) -> None:
    kept = planned(replace(layout, recompute="none"))
    again = planned(replace(layout, recompute="full"))
    assert again.memory.activations <= kept.memory.activations * (1 + 1e-9)
    assert again.step_s >= kept.step_s


@settings(deadline=None)
@given(st.sampled_from([2, 4, 8]), st.integers(0, 12))
def test_the_bubble_vanishes_with_many_micro_batches(pp: int, power: int) -> None:
    few = planned(Layout(pp=pp, micro_batches=2**power)).time.bubble_share
    many = planned(Layout(pp=pp, micro_batches=2 ** (power + 1))).time.bubble_share
    assert many < few
    assert many <= (pp - 1) / 2 ** (power + 1)


@settings(deadline=None)
@given(st.sampled_from([1, 2, 3]), st.sampled_from([2, 8, 64]))
def test_higher_zero_stages_hold_no_more_states(stage: int, dp: int) -> None:
    def states(zero: int) -> float:
        layout = Layout(dp=dp, zero=zero)
        found = memory(setting(MODEL, cluster(H100, dp), 4096), layout)
        return found.weights + found.gradients + found.optimizer

    assert states(stage) < states(stage - 1)


@pytest.mark.parametrize(
    ("layout", "field"),
    [
        (Layout(dp=3), "dp"),
        (Layout(dp=8, micro_batch=0), "micro_batch"),
        (Layout(dp=-8), "dp"),
        (Layout(tp=64, micro_batches=16), "tp"),
        (Layout(tp=8, sequence_parallel=True, micro_batches=3), "batch"),
        (Layout(pp=8, vp=8, micro_batches=16), "pp"),
        (Layout(dp=8, vp=2, micro_batches=2), "vp"),
        (Layout(dp=8, ep=2, micro_batches=2), "ep"),
        (Layout(dp=8, zero=4, micro_batches=2), "zero"),
        (Layout(dp=8, sequence_parallel=True, micro_batches=2), "sequence_parallel"),
        (Layout(dp=8, dp_shard=3, micro_batches=2), "dp_shard"),
    ],
)
def test_an_illegal_layout_names_its_field(layout: Layout, field: str) -> None:
    gpus = layout.world if layout.tp == 64 else 8
    with pytest.raises(FieldError) as caught:
        check_layout(layout, MODEL, cluster(H100, gpus), 4096, 16)
    assert caught.value.field == field


def test_a_gpu_without_fp8_refuses_it() -> None:
    where = setting(MODEL, cluster(find_gpu("a100-80"), 8), 4096)
    with pytest.raises(FieldError, match="no fp8"):
        estimate(where, Layout(dp=8, precision="fp8"))


def test_every_framework_has_sane_constants() -> None:
    for software in default_constants().software.values():
        assert isinstance(software, Software)
        assert 0 <= software.tp_overlap < 1
        assert 0 <= software.dp_overlap < 1
        assert 0 < software.dispatch_s < 1e-4


def test_attention_beside_the_mlp_exchanges_once_a_layer() -> None:
    one_by_one = on(8)
    beside = replace(one_by_one, model=replace(one_by_one.model, parallel_blocks=True))
    layout = Layout(tp=8)
    layers = [layer_time(each, layout).traffic for each in (one_by_one, beside)]
    assert layers[0].blocks == 2 * layers[1].blocks > 0
    assert layers[0].all_reduce == layers[1].all_reduce
