"""How products are cut: every input once, within the room that there is, for any shape."""

from dataclasses import replace
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prodtop.engine.kernels.gpu.chip import HOPPER
from prodtop.engine.kernels.gpu.gemm_plan import (
    BLOCK_K,
    WeightFormat,
    plan_gemm,
)

FORMATS: tuple[WeightFormat, ...] = get_args(WeightFormat)


@settings(deadline=None, max_examples=300)
@given(
    weight_format=st.sampled_from(FORMATS),
    rows=st.integers(1, 9000),
    features=st.integers(1, 200_000),
    inputs=st.integers(1, 40_000),
    processors=st.integers(1, 160),
)
def test_the_parts_cover_the_inputs_once_and_fit_the_workspace(
    weight_format: WeightFormat, rows: int, features: int, inputs: int, processors: int
) -> None:
    chip = replace(HOPPER, multiprocessors=processors)
    plan = plan_gemm(weight_format, rows, features, inputs, chip)
    blocks = -(-inputs // BLOCK_K)
    assert plan.splits * plan.blocks_per_split >= blocks
    assert (plan.splits - 1) * plan.blocks_per_split < blocks, "no part is empty"
    tiles = plan.tiles(rows, features)
    assert tiles * plan.block_m * plan.block_n >= rows * features
    assert plan.fits(rows, features)


@pytest.mark.parametrize("weight_format", FORMATS)
def test_a_serving_session_builds_few_kernels(weight_format: WeightFormat) -> None:
    shapes = [(6144, 4096), (4096, 4096), (28672, 4096), (4096, 14336), (128256, 4096)]
    plans = [
        plan_gemm(weight_format, rows, *shape, HOPPER)
        for rows in range(17, 2049)
        for shape in shapes
    ]
    assert len({(p.block_n, p.block_m, p.stages, p.warps) for p in plans}) <= 4


@pytest.mark.parametrize("weight_format", FORMATS)
@pytest.mark.parametrize("rows", [17, 64, 128, 2048])
def test_less_shared_memory_takes_fewer_stages(weight_format: WeightFormat, rows: int) -> None:
    whole = plan_gemm(weight_format, rows, 28672, 4096, HOPPER)
    small = plan_gemm(weight_format, rows, 28672, 4096, replace(HOPPER, shared_bytes=99 << 10))
    assert 2 <= small.stages <= whole.stages
    assert replace(small, stages=whole.stages) == whole
