"""The error report against numpy, on weights that each level really stores."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from prodtop.engine.model.dummy import dummy_weights
from prodtop.engine.precision.levels import pack
from prodtop.engine.precision.projection import Projection
from prodtop.engine.precision.stored import stored_weight
from prodtop.engine.protocol import MatrixError, PrecisionName
from prodtop.engine.quality.weight_errors import (
    affine,
    affine_errors,
    error_report,
    level_errors,
    matrix_error,
)
from prodtop.engine.shape.model_shape import ModelShape
from torch import Tensor

CPU = torch.device("cpu")
ON_CPU = [name for name in PrecisionName if name is not PrecisionName.FP8]
Values = NDArray[np.float64]


def weight(rows: int = 48, columns: int = 128, *, scale: float = 0.05) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    return (torch.randn(rows, columns, generator=generator) * scale).to(torch.bfloat16)


def effective_weight(layer_weight: Tensor, precision: PrecisionName) -> Values:
    """What a layer multiplies by, found out from outside: its products with unit vectors."""
    layer = pack(Projection(layer_weight), precision, CPU)
    dtype = torch.float32 if precision is PrecisionName.FP32 else torch.bfloat16
    if precision is PrecisionName.FP16:
        dtype = torch.float16
    unit = torch.eye(layer_weight.shape[1], dtype=dtype)
    return layer(unit).t().double().numpy()


@pytest.mark.parametrize("precision", ON_CPU)
@pytest.mark.parametrize(("rows", "columns"), [(48, 128), (40, 96), (17, 64)])
def test_what_is_said_to_be_stored_is_what_the_layer_multiplies_by(
    precision: PrecisionName, rows: int, columns: int
) -> None:
    master = weight(rows, columns)
    stored = stored_weight(Projection(master), precision, CPU).values.double().numpy()
    # A product comes out rounded to the activations' dtype.
    half_ulp = 2.0**-8 if precision is not PrecisionName.FP32 else 2.0**-23
    np.testing.assert_allclose(
        stored, effective_weight(master, precision), rtol=half_ulp, atol=1e-9
    )


@pytest.mark.parametrize("precision", ON_CPU)
def test_every_figure_of_a_matrix_is_numpys(precision: PrecisionName) -> None:
    master = weight()
    stored = stored_weight(Projection(master), precision, CPU)
    found = matrix_error(2, "down", Projection(master), stored, CPU).error
    check_against_numpy(found, master.double().numpy(), stored.values.double().numpy())
    assert (found.layer, found.matrix, found.master_bytes) == (2, "down", 48 * 128 * 2)
    grouped = master.double().view(48, stored.lower.shape[1], -1)
    slack = 0.0 if stored.step is None else 0.501 * stored.step.unsqueeze(-1)
    below = grouped < stored.lower.unsqueeze(-1) - slack
    above = grouped > stored.upper.unsqueeze(-1) + slack
    assert found.clipped == pytest.approx(float((below | above).double().mean()), abs=1e-3)
    # Fitting shrinks a range where that makes the error smaller.
    assert found.clipped < 0.03 if precision is PrecisionName.INT4 else found.clipped == 0.0


def check_against_numpy(found: MatrixError, exact: Values, stored: Values) -> None:
    error = stored - exact
    absolute = np.abs(error)
    assert found.parameters == exact.size
    assert found.mean_abs == pytest.approx(absolute.mean(), rel=1e-5, abs=1e-12)
    assert found.max_abs == pytest.approx(absolute.max(), rel=1e-5, abs=1e-12)
    assert found.relative == pytest.approx(
        absolute.sum() / np.abs(exact).sum(), rel=1e-5, abs=1e-12
    )
    there = exact != 0
    plain = (absolute[there] / np.abs(exact[there])).mean()
    assert found.relative_plain == pytest.approx(plain, rel=1e-4, abs=1e-12)
    assert (found.least, found.greatest) == (exact.min(), exact.max())
    if not absolute.any():
        assert found.snr_std_db is found.snr_power_db is None
        return
    assert found.snr_std_db == pytest.approx(20 * math.log10(exact.std() / error.std()), abs=1e-3)
    power = 10 * math.log10((exact**2).sum() / (error**2).sum())
    assert found.snr_power_db == pytest.approx(power, abs=1e-3)


@pytest.mark.parametrize("bits", [4, 8, 16])
def test_the_affine_scheme_is_the_textbooks(bits: int) -> None:
    master = weight()
    exact = master.double().numpy()
    step = (exact.max() - exact.min()) / (2**bits - 1)
    found = affine(master, bits)
    values = found.values.double().numpy()
    # The nearest of 2ⁿ values at equal distances; fp32 decides what lies in the middle of two.
    assert np.abs(values - exact).max() <= step * 0.501 + 1e-7
    places = (values - exact.min()) / step
    np.testing.assert_allclose(places, np.round(places), atol=0.05)
    assert places.max() <= 2**bits - 1 + 0.05
    assert found.size_bytes == exact.size * bits // 8 + 8


def test_what_lies_beyond_the_range_is_counted_as_clipped() -> None:
    master = weight()
    stored = affine(master.clamp(-0.05, 0.05), 8)
    found = matrix_error(0, "qkv", Projection(master), stored, CPU).error
    beyond = (master.float().abs() > 0.05 + 0.501 * float(stored.step or 0)).float().mean()
    assert found.clipped == pytest.approx(float(beyond), abs=1e-6)
    assert found.clipped > 0.1


def test_constant_and_zero_matrices_have_no_error_and_no_ratio() -> None:
    for value in (0.0, 0.5):
        master = torch.full((16, 64), value, dtype=torch.bfloat16)
        for precision in ON_CPU:
            stored = stored_weight(Projection(master), precision, CPU)
            found = matrix_error(0, "qkv", Projection(master), stored, CPU).error
            assert found.relative <= 2.0**-8
            assert found.snr_std_db is None


@given(st.integers(0, 2**32 - 1), st.sampled_from([1e-6, 0.05, 30.0]))
def test_more_bits_never_store_worse(seed: int, scale: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    master = torch.randn(16, 64, generator=generator) * scale
    absolute = [
        matrix_error(0, "qkv", Projection(master), affine(master, bits), CPU).absolute
        for bits in (4, 8, 16)
    ]
    assert absolute[0] >= absolute[1] >= absolute[2]


def test_the_totals_are_over_weights_and_the_bytes_add_up() -> None:
    shape = ModelShape(
        layers=2, hidden=64, heads=2, kv_heads=1, head_dim=32, intermediate=96, vocabulary=128
    )
    master = dummy_weights(shape, torch.bfloat16, device=CPU)
    report = error_report("int8", level_errors(master, PrecisionName.INT8, CPU))
    assert [(each.layer, each.matrix) for each in report.matrices] == [
        (layer, name) for layer in (0, 1) for name in ("qkv", "output", "gate_up", "down")
    ]
    exact, stored = [], []
    for projection in master.projections():
        assert isinstance(projection, Projection)
        exact.append(projection.weight.double().numpy().ravel())
        values = stored_weight(projection, PrecisionName.INT8, CPU).values
        stored.append(values.double().numpy().ravel())
    whole, error = np.concatenate(exact), np.concatenate(stored) - np.concatenate(exact)
    totals = report.totals
    assert totals.parameters == whole.size
    assert totals.mean_abs == pytest.approx(np.abs(error).mean(), rel=1e-6)
    assert totals.relative == pytest.approx(np.abs(error).sum() / np.abs(whole).sum(), rel=1e-6)
    power = 10 * math.log10((whole**2).sum() / (error**2).sum())
    assert totals.snr_power_db == pytest.approx(power, abs=1e-4)
    assert totals.master_bytes == whole.size * 2
    rows = sum(p.weight.shape[0] for p in master.projections() if isinstance(p, Projection))
    assert totals.stored_bytes == whole.size + 2 * rows
    assert totals.compression == pytest.approx(totals.master_bytes / totals.stored_bytes)
    affine_report = error_report("affine-8", affine_errors(master, 8, CPU))
    assert affine_report.totals.snr_power_db is not None
