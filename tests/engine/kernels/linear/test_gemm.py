"""The packed products against float64 ones, in Triton's interpreter or on the GPU.

Each both ways of loading: by pointers, and by descriptors where the GPU has them.
"""

import pytest
import torch
from prodtop.engine.kernels.common.gpu_limits import gpu_limits
from prodtop.engine.kernels.linear.gemm import gemm
from prodtop.engine.kernels.linear.gemm_launch import GemmLaunch
from prodtop.engine.kernels.linear.weight import LayerWeight
from prodtop.engine.kernels.linear.workspace import workspace
from prodtop.engine.precision.chunks import int4_layer, int8_layer
from prodtop.engine.precision.linear import (
    DenseLinear,
    Fp8Linear,
    Int4Linear,
    Int8PlanesLinear,
)
from prodtop.engine.precision.planes import pack_int4, pack_int8_planes, padded_inputs
from torch import Tensor

DEVICE = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
DTYPE = torch.bfloat16 if DEVICE.type == "cuda" else torch.float16
"""Triton's interpreter takes a bf16 operand of a matrix product for integers."""


def random(*shape: int, seed: int, dtype: torch.dtype = DTYPE) -> Tensor:
    values = torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
    return values.to(DEVICE, dtype)


def relative_error(ours: Tensor, exact: Tensor) -> float:
    return float((ours.double() - exact).norm() / exact.norm())


@pytest.fixture(params=[False, True], ids=["pointers", "descriptors"])
def bulk(request: pytest.FixtureRequest) -> bool:
    """Whether tiles are brought by descriptors."""
    by_descriptors: bool = request.param
    if by_descriptors and not gpu_limits(DEVICE).bulk_tensors:
        pytest.skip("this GPU copies no tiles")
    return by_descriptors


def launch(
    splits: int, inputs: int, block_n: int = 16, block_m: int = 16, bulk: bool = False
) -> GemmLaunch:
    """Small tiles: the interpreter runs them one after the other."""
    on_gpu = DEVICE.type == "cuda"
    blocks = padded_inputs(inputs) // 128
    return GemmLaunch(
        block_n=64 if on_gpu else block_n,
        block_m=block_m,
        stages=2,
        warps=4,
        splits=splits,
        blocks_per_split=-(-blocks // splits),
        bulk=bulk,
    )


SHAPES = [(17, 33, 128, 1), (5, 16, 320, 3), (33, 40, 200, 1), (18, 7, 384, 2)]


@pytest.mark.parametrize(("rows", "features", "inputs", "splits"), SHAPES)
@pytest.mark.parametrize("extras", [False, True])
def test_int8_multiplies_what_it_was_rounded_to(
    rows: int, features: int, inputs: int, splits: int, extras: bool, bulk: bool
) -> None:
    x = random(rows, inputs, seed=1)
    q = torch.randint(-127, 128, (features, inputs), dtype=torch.int8, device=DEVICE)
    scale = random(features, seed=2).abs() / 64
    bias = random(features, seed=3) if extras else None
    residual = random(rows, features, seed=4) if extras else None
    exact = x.double() @ (q.double() * scale.double()[:, None]).T
    if bias is not None and residual is not None:
        exact = exact + bias.double() + residual.double()
    weight = LayerWeight.of(Int8PlanesLinear(pack_int8_planes(q), scale, inputs, bias))
    y = gemm(x, weight, residual, launch=launch(splits, inputs, bulk=bulk))
    assert y.shape == (rows, features)
    assert relative_error(y, exact) < 0.004
    assert not workspace(x.device).arrivals.any(), "the next split product counts from zero"


@pytest.mark.parametrize(("rows", "features", "inputs", "splits"), SHAPES)
@pytest.mark.parametrize("group", [32, 64, 128])
def test_int4_multiplies_what_it_was_rounded_to(
    rows: int, features: int, inputs: int, splits: int, group: int, bulk: bool
) -> None:
    x = random(rows, inputs, seed=1)
    q = torch.randint(0, 16, (features, inputs), dtype=torch.uint8, device=DEVICE)
    grid = random(padded_inputs(inputs) // group, features, 2, seed=5, dtype=torch.bfloat16) / 8
    scale, zero = grid.double().repeat_interleave(group, dim=0)[:inputs].permute(2, 1, 0)
    weight = ((q.double() - 8) * scale + zero).to(DTYPE)
    packed = LayerWeight.of(Int4Linear(pack_int4(q), grid, group, inputs, None))
    y = gemm(x, packed, launch=launch(splits, inputs, bulk=bulk))
    assert y.shape == (rows, features)
    assert relative_error(y, x.double() @ weight.double().T) < 0.005


@pytest.mark.parametrize(("rows", "features", "inputs", "splits"), SHAPES)
@pytest.mark.parametrize("extras", [False, True])
def test_dense_weights_are_multiplied_as_they_are(
    rows: int, features: int, inputs: int, splits: int, extras: bool, bulk: bool
) -> None:
    x, weight = random(rows, inputs, seed=1), random(features, inputs, seed=2)
    bias = random(features, seed=3) if extras else None
    residual = random(rows, features, seed=4) if extras else None
    exact = x.double() @ weight.double().T
    if bias is not None and residual is not None:
        exact = exact + bias.double() + residual.double()
    dense = LayerWeight.of(DenseLinear(weight, bias))
    y = gemm(x, dense, residual, launch=launch(splits, inputs, bulk=bulk))
    assert y.shape == (rows, features)
    assert relative_error(y, exact) < 0.004


@pytest.mark.parametrize(("features", "inputs", "splits"), [(33, 128, 1), (24, 336, 3)])
def test_fp8_weights_are_multiplied_as_they_are(
    features: int, inputs: int, splits: int, bulk: bool
) -> None:
    x = random(19, inputs, seed=1).to(torch.float8_e4m3fn)
    q = random(features, inputs, seed=2).to(torch.float8_e4m3fn)
    row_scale, scale = random(19, 1, seed=3).float(), random(features, seed=4).float()
    exact = (x.double() * row_scale.double()) @ (q.double() * scale.double()[:, None]).T
    weight = LayerWeight.of(Fp8Linear(q, scale, None))
    cut = launch(splits, inputs, block_n=32, bulk=bulk)
    y = gemm(x, weight, row_scale=row_scale, launch=cut, dtype=DTYPE)
    assert relative_error(y, exact) < 0.004


def among_nans(tensor: Tensor, columns: int = 0) -> Tensor:
    """The same values with NaNs behind each row, if `columns` are asked for, and after the last."""
    rows, width = tensor.shape
    wide = torch.full((rows + 64, width + columns), torch.nan, dtype=tensor.dtype, device=DEVICE)
    wide[:rows, :width] = tensor
    return wide[:rows, :width]


@pytest.mark.parametrize("weight_format", ["int8", "int4", "dense"])
def test_what_lies_past_the_ends_is_not_multiplied(weight_format: str, bulk: bool) -> None:
    features, inputs, cut = 24, 200, launch(1, 200, bulk=bulk)
    values = random(19, inputs, seed=1)
    x, weight = among_nans(values, columns=8), random(features, inputs, seed=2)
    match weight_format:
        case "int8":
            int8 = int8_layer(weight, None, DTYPE)
            weight = int8.values() * int8.scale[:, None]
            y = gemm(x, LayerWeight.of(int8), launch=cut)
        case "int4":
            q = torch.randint(0, 16, weight.shape, dtype=torch.uint8, device=DEVICE)
            grid = random(4, features, 2, seed=5, dtype=torch.bfloat16)
            scale, zero = grid.to(DTYPE).repeat_interleave(64, dim=0)[:inputs].permute(2, 1, 0)
            weight = (q.to(DTYPE) - 8) * scale + zero
            int4 = Int4Linear(pack_int4(q), grid, 64, inputs, None)
            y = gemm(x, LayerWeight.of(int4), launch=cut)
        case _:
            dense = DenseLinear(among_nans(weight), None)
            y = gemm(x, LayerWeight.of(dense), launch=cut)
    assert relative_error(y, values.double() @ weight.double().T) < 0.005


@pytest.mark.gpu
@pytest.mark.parametrize(
    ("features", "inputs"), [(6144, 4096), (4096, 14336), (1024, 3072), (14336, 2048)]
)
@pytest.mark.parametrize("rows", [17, 32, 64, 100, 256, 700])
def test_the_shapes_that_are_served_with_the_plans_they_are_served_with(
    rows: int, features: int, inputs: int
) -> None:
    weight = random(features, inputs, seed=1) * inputs**-0.5
    x, residual = random(rows, inputs, seed=2), random(rows, features, seed=3)
    int8 = int8_layer(weight, None, DTYPE)
    int4 = int4_layer(weight, 64, None, DTYPE)
    for layer in (DenseLinear(weight, None), int8, int4):
        y = gemm(x, LayerWeight.of(layer), residual.clone())
        exact = layer(x.to(DTYPE)).double() + residual.double()
        assert relative_error(y, exact) < 0.006
    assert not workspace(x.device).arrivals.any()


def test_a_residual_may_be_written_over(bulk: bool) -> None:
    x, weight = random(19, 256, seed=1), random(24, 256, seed=2)
    hidden = random(19, 24, seed=3)
    exact = hidden.double() + x.double() @ weight.double().T
    dense, cut = LayerWeight.of(DenseLinear(weight, None)), launch(2, 256, bulk=bulk)
    y = gemm(x, dense, hidden, launch=cut)
    assert y is hidden
    assert relative_error(hidden, exact) < 0.004


def test_rows_may_be_cut_from_a_wider_tensor(bulk: bool) -> None:
    wide = random(18, 512, seed=1)
    weight = random(16, 256, seed=2)
    dense, cut = LayerWeight.of(DenseLinear(weight, None)), launch(1, 256, bulk=bulk)
    y = gemm(wide[:, 128:384], dense, launch=cut)
    assert relative_error(y, wide[:, 128:384].double() @ weight.double().T) < 0.004


@pytest.mark.parametrize(("first", "inputs"), [(0, 100), (1, 256)])
def test_rows_that_no_descriptor_fits_are_multiplied_all_the_same(first: int, inputs: int) -> None:
    wide = random(18, inputs + 8, seed=1)
    x, weight = wide[:, first : first + inputs], random(16, inputs, seed=2)
    dense = LayerWeight.of(DenseLinear(weight, None))
    assert relative_error(gemm(x, dense), x.double() @ weight.double().T) < 0.004


def test_what_does_not_fit_is_refused() -> None:
    x = random(17, 256, seed=1)
    too_short = torch.zeros(8, 64, dtype=torch.int16, device=DEVICE)
    with pytest.raises(ValueError, match="for 256 inputs"):
        LayerWeight.of(Int8PlanesLinear(too_short, x[0, :8], 256, None))
    words = torch.zeros(2, 8, 32, dtype=torch.int16, device=DEVICE)
    with pytest.raises(ValueError, match="for 4 groups"):
        LayerWeight.of(Int4Linear(words, random(2, 8, 2, seed=1), 64, 256, None))
    dense = LayerWeight.of(DenseLinear(x, None))
    too_many = GemmLaunch(64, 64, 2, 4, splits=4096, blocks_per_split=1)
    with pytest.raises(ValueError, match="do not fit the workspace"):
        gemm(x, dense, launch=too_many)
