"""Software releases, recipes of fp8 and 4 bits, and what they do to an estimate."""

from dataclasses import replace

import pytest
from prodtop.engine.planner.cost.calibration import Constants, default_constants
from prodtop.engine.planner.cost.estimate import Estimate, estimate
from prodtop.engine.planner.cost.hardware import Precision, cluster, find_gpu
from prodtop.engine.planner.cost.layout import Layout
from prodtop.engine.planner.cost.memory import GIB
from prodtop.engine.planner.cost.setting import Setting, setting
from prodtop.engine.planner.search.constraints import Constraints
from prodtop.engine.planner.search.search import search
from prodtop.engine.shape.field_errors import FieldError
from prodtop.engine.shape.presets import preset

CONSTANTS = default_constants()


def where(
    model: str = "llama-3.1-8b", gpu: str = "h100-sxm", gpus: int = 8, software: str = "torch"
) -> Setting:
    """Some GPUs with the packaged constants."""
    return setting(preset(model), cluster(find_gpu(gpu), gpus), 4096, software)


@pytest.mark.parametrize("family", CONSTANTS.releases)
def test_releases_name_profiles_and_the_month_chooses(family: str) -> None:
    known = CONSTANTS.releases[family]
    for month, name in known.items():
        assert CONSTANTS.release(family, month) is CONSTANTS.software[name]
    first, *_, last = sorted(known)
    assert CONSTANTS.release(family, None).name == known[last]
    assert CONSTANTS.release(family, "1999-01").name == known[first]


def test_a_family_without_releases_is_its_profile() -> None:
    assert CONSTANTS.release("nanotron", "2024-01").name == "nanotron"
    with pytest.raises(FieldError):
        CONSTANTS.release("nothing", None)


@pytest.mark.parametrize("name", CONSTANTS.recipes)
def test_no_finer_scale_is_faster_than_one_a_tensor(name: str) -> None:
    plain, other = CONSTANTS.recipes["fp8"], CONSTANTS.recipes[name]
    assert other.gemm <= plain.gemm
    assert other.cast >= plain.cast


def on_blackwell(precision: Precision) -> Estimate:
    layout = replace(Layout(dp=8, zero=1), precision=precision)
    return estimate(where(gpu="b200", software="megatron-core"), layout)


def test_four_bits_are_faster_than_eight_and_eight_than_sixteen() -> None:
    rising: tuple[Precision, ...] = ("nvfp4", "mxfp8", "bf16")
    steps = [on_blackwell(name).step_s for name in rising]
    assert steps == sorted(steps)
    assert on_blackwell("nvfp4").peak_flops == 2 * on_blackwell("fp8").peak_flops


@pytest.mark.parametrize("precision", ["mxfp8", "nvfp4"])
def test_hopper_has_neither(precision: Precision) -> None:
    layout = replace(Layout(dp=8, zero=1), precision=precision)
    with pytest.raises(FieldError, match=f"has no {precision} units"):
        estimate(where(software="megatron-core"), layout)


FULL = Layout(micro_batch=4, recompute="full")


def test_an_unfused_adam_makes_ten_bytes_a_parameter_of_pure_bf16() -> None:
    """Two each of weight and gradient, four of moments, two for a moment: what Hugging Face's
    trainer was seen to take for Mistral 7B, whatever its micro-batch."""
    pure = replace(where(gpu="a100-80", gpus=1), pure=True)
    small = replace(FULL, micro_batch=1)
    for layout in (small, replace(small, micro_batch=2)):
        allocated = estimate(pure, layout).memory.allocated
        assert allocated == pytest.approx(10 * pure.model.parameters, rel=0.02)


def test_what_saves_memory_saves_it() -> None:
    mixed = where(gpu="a100-80", gpus=1)
    leaner = [
        mixed,
        replace(mixed, pure=True),
        replace(mixed, pure=True, in_backward=True),
        replace(mixed, frozen=True),
        replace(mixed, frozen=True, frozen_bytes=0.52),
        replace(mixed, frozen=True, frozen_bytes=0.52, chunked_loss=True),
    ]
    totals = [estimate(one, FULL).memory.total for one in leaner]
    assert totals == sorted(totals, reverse=True)


def test_frozen_weights_are_gathered_under_fsdp() -> None:
    layout = Layout(dp=8, zero=3, recompute="full")
    frozen = replace(where(), frozen=True)
    traffic = estimate(frozen, layout).time.data
    packed = estimate(replace(frozen, frozen_bytes=0.5), layout).time.data
    assert traffic.scatter.seconds == 0
    assert 0 < packed.gather.seconds < traffic.gather.seconds


def test_a_ring_loses_less_the_longer_its_pieces_are() -> None:
    def per_token(sequence: int, cp: int) -> float:
        one = replace(where(software="megatron-core"), sequence=sequence)
        work = estimate(one, Layout(dp=8 // cp, cp=cp)).time.stage.layer.work.attention
        return work.forward_s / work.flops

    def loss(sequence: int) -> float:
        return per_token(sequence, 8) / per_token(sequence, 1)

    assert loss(8192) > loss(32_768) > loss(131_072) > 1
    assert loss(131_072) < 1.1


def test_metas_layout_of_405b_needs_no_full_recomputation() -> None:
    """Llama 3 405B ran at tp 8, pp 16, dp 128 on 16,384 H100s (arXiv 2407.21783, table 4)."""
    meta = replace(where("llama-3.1-405b", gpus=16_384, software="megatron-core"), sequence=8192)
    fixed = Constraints(batch=2048, tp=8, pp=16, cp=1, dp=128, zero=1, dp_shard=0, vp=4)
    best = search(meta, fixed).winner
    assert best is not None
    assert best.layout.recompute == "none" or best.layout.recompute_layers > 0
    assert best.memory.total < 79.7 * GIB
    assert best.tokens_s_gpu == pytest.approx(158, rel=0.15)


def test_constants_keep_what_they_were_read_from() -> None:
    assert isinstance(CONSTANTS, Constants)
    assert set(CONSTANTS.recipes) == {"fp8", "fp8-rowwise", "fp8-block", "mxfp8", "nvfp4"}
