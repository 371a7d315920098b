"""How products are cut: every input once, within the room that there is, for any shape."""

from dataclasses import replace
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prodtop.engine.kernels.common.gpu_limits import HOPPER
from prodtop.engine.kernels.linear.gemm_launch import BLOCK_K, gemm_launch
from prodtop.engine.kernels.linear.weight import WeightFormat

FORMATS: tuple[WeightFormat, ...] = get_args(WeightFormat)


@settings(deadline=None, max_examples=300)
@given(
    weight_format=st.sampled_from(FORMATS),
    rows=st.integers(1, 9000),
    features=st.integers(1, 200_000),
    inputs=st.integers(1, 40_000),
    processors=st.integers(1, 160),
    bulk=st.booleans(),
)
def test_the_parts_cover_the_inputs_once_and_fit_the_workspace(
    weight_format: WeightFormat, rows: int, features: int, inputs: int, processors: int, bulk: bool
) -> None:
    chip = replace(HOPPER, multiprocessors=processors)
    launch = gemm_launch(weight_format, rows, features, inputs, chip, bulk)
    assert bulk or not launch.bulk
    blocks = -(-inputs // BLOCK_K)
    assert launch.splits * launch.blocks_per_split >= blocks
    assert (launch.splits - 1) * launch.blocks_per_split < blocks, "no part is empty"
    tiles = launch.tiles(rows, features)
    assert tiles * launch.block_m * launch.block_n >= rows * features
    assert launch.fits(rows, features)


@pytest.mark.parametrize(("bulk", "most"), [(False, 4), (True, 7)])
@pytest.mark.parametrize("weight_format", FORMATS)
def test_a_serving_session_builds_few_kernels(
    weight_format: WeightFormat, bulk: bool, most: int
) -> None:
    shapes = [(6144, 4096), (4096, 4096), (28672, 4096), (4096, 14336), (128256, 4096)]
    launches = [
        gemm_launch(weight_format, rows, *shape, HOPPER, bulk)
        for rows in range(17, 2049)
        for shape in shapes
    ]
    assert len({(p.block_n, p.block_m, p.stages, p.warps, p.bulk) for p in launches}) <= most


@pytest.mark.parametrize("weight_format", FORMATS)
@pytest.mark.parametrize("rows", [17, 64, 128, 2048])
@pytest.mark.parametrize("bulk", [False, True])
def test_less_shared_memory_takes_fewer_stages(
    weight_format: WeightFormat, rows: int, bulk: bool
) -> None:
    less = replace(HOPPER, shared_bytes=99 << 10)
    whole = gemm_launch(weight_format, rows, 28672, 4096, HOPPER, bulk)
    small = gemm_launch(weight_format, rows, 28672, 4096, less, bulk)
    assert 2 <= small.stages <= whole.stages
    assert replace(small, stages=whole.stages) == whole


@pytest.mark.parametrize("weight_format", FORMATS)
@pytest.mark.parametrize("rows", [17, 32, 33, 64])
def test_descriptors_bring_wider_tiles_where_there_are_many_features(
    weight_format: WeightFormat, rows: int
) -> None:
    many = gemm_launch(weight_format, rows, 28672, 4096, HOPPER, bulk=True)
    few = gemm_launch(weight_format, rows, 6144, 4096, HOPPER, bulk=True)
    assert many.bulk
    assert (many.block_n, few.block_n) == (128, 64)


@pytest.mark.parametrize("weight_format", FORMATS)
def test_more_rows_than_64_are_loaded_by_pointers(weight_format: WeightFormat) -> None:
    for rows in (65, 128, 256, 2048):
        by_pointers = gemm_launch(weight_format, rows, 28672, 4096, HOPPER)
        assert gemm_launch(weight_format, rows, 28672, 4096, HOPPER, bulk=True) == by_pointers
