"""How a pipeline's layers are dealt out, and that the slowest stage decides."""

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from prodtop.engine.planner.cost.estimate import estimate
from prodtop.engine.planner.cost.hardware import cluster, find_gpu
from prodtop.engine.planner.cost.layout import Layout, check_layout
from prodtop.engine.planner.cost.setting import setting
from prodtop.engine.planner.cost.stages import StageLayers, stage_layers
from prodtop.engine.shape.field_errors import FieldError
from prodtop.engine.shape.model_shape import ModelShape
from prodtop.engine.shape.presets import preset

H100 = find_gpu("h100-sxm")


def shape(layers: int) -> ModelShape:
    return ModelShape(
        name="any",
        layers=layers,
        hidden=1024,
        heads=8,
        kv_heads=8,
        head_dim=128,
        intermediate=4096,
        vocabulary=1024,
    )


def is_legal(layers: int, layout: Layout) -> bool:
    try:
        check_layout(layout, shape(layers), cluster(H100, layout.world), 4096)
    except FieldError:
        return False
    return True


@settings(deadline=None)
@given(st.integers(1, 200), st.integers(1, 64), st.integers(1, 8))
def test_a_legal_pipeline_holds_every_layer_once(layers: int, pp: int, vp: int) -> None:
    assume(is_legal(layers, Layout(pp=pp, vp=vp, micro_batches=pp)))
    stage = stage_layers(layers, pp)
    dealt = [stage.first, *[stage.inner] * (pp - 2), stage.last][:pp]
    assert sum(dealt) == layers
    assert min(dealt) >= 1
    # No way to deal them out has a shorter longest stage.
    assert max(dealt) == -(-layers // pp)
    assert stage.inner % vp == 0


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(1, 8), st.integers(1, 8))
def test_every_pipeline_that_divides_is_legal(each: int, pp: int, vp: int) -> None:
    chunks = vp if pp > 1 else 1
    assert is_legal(each * pp * chunks, Layout(pp=pp, vp=chunks, micro_batches=pp))


@pytest.mark.parametrize(
    ("layers", "pp", "stage"),
    [
        (61, 16, StageLayers(inner=4, first=3, last=2)),
        (61, 4, StageLayers(inner=16, first=15, last=14)),
        (126, 16, StageLayers(inner=8, first=7, last=7)),
        (31, 8, StageLayers(inner=4, first=4, last=3)),
        (27, 2, StageLayers(inner=14, first=14, last=13)),
    ],
)
def test_the_ends_take_what_does_not_divide(layers: int, pp: int, stage: StageLayers) -> None:
    assert is_legal(layers, Layout(pp=pp))
    assert stage_layers(layers, pp) == stage


@pytest.mark.parametrize(
    ("layers", "layout"),
    [
        (12, Layout(pp=8)),
        (33, Layout(pp=16)),
        (61, Layout(pp=16, vp=3, micro_batches=16)),
    ],
)
def test_ends_that_would_be_empty_are_refused(layers: int, layout: Layout) -> None:
    words = f"{layers} layers cannot be split into {layout.pp} stages"
    with pytest.raises(FieldError, match=words):
        check_layout(layout, shape(layers), cluster(H100, layout.world), 4096)


def test_the_longest_stage_sets_the_pace() -> None:
    """61 layers on 16 stages run as long as 64 would, but for the head and the bubble's stages."""
    layout = Layout(pp=16, micro_batches=256)
    uneven, even = (
        estimate(setting(shape(layers), cluster(H100, 16), 4096), layout) for layers in (61, 64)
    )
    assert uneven.step_s == pytest.approx(even.step_s, rel=0.03)
    assert uneven.step_s < even.step_s
    assert uneven.mfu() < even.mfu()


def test_deepseek_v3_can_be_split_as_it_was_trained() -> None:
    """Sixteen stages of two chunks (DeepSeek-V3, section 3.2)."""
    layout = Layout(dp=128, ep=64, pp=16, vp=2, zero=1, micro_batches=64)
    found = estimate(setting(preset("deepseek-v3"), cluster(H100, 2048), 4096), layout)
    assert 0 < found.mfu() < 1
