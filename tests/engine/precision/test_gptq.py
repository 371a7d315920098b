"""GPTQ against the update as the paper writes it, and against rounding without error feedback."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from prodtop.engine.precision.gptq import DAMPING, gptq_int4, inverse_factor
from prodtop.engine.precision.int4_fit import fit_int4
from prodtop.engine.precision.quantize import Int4Weight, quantize_int4
from prodtop.engine.protocol.errors import BadInputError
from torch import Tensor

Values = NDArray[np.float64]


def layer(rows: int, inputs: int, samples: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """A weight `[rows, inputs]` and inputs `[samples, inputs]` that go together, as in a layer."""
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(rows, inputs, generator=generator) * 0.05
    mixed = torch.randn(inputs // 2, inputs, generator=generator)
    x = torch.randn(samples, inputs // 2, generator=generator) @ mixed
    noise = torch.randn(samples, inputs, generator=generator)
    return weight, x / x.std() + 0.1 * noise


def values(rounded: Int4Weight, group: int) -> Values:
    grouped = (rounded.q.double() - 8).view(rounded.q.shape[0], -1, group)
    scale, zero = rounded.scale.double().unsqueeze(-1), rounded.zero.double().unsqueeze(-1)
    stored: Values = (grouped * scale + zero).flatten(1).numpy()
    return stored


def output_error(x: Tensor, weight: Tensor, rounded: Int4Weight, group: int) -> float:
    """‖X W - X Ŵ‖, Frobenius, of X `[samples, inputs]`."""
    difference = values(rounded, group) - weight.double().numpy()
    return float(np.linalg.norm(x.double().numpy() @ difference.T))


@pytest.mark.parametrize("group", [32, 64])
@pytest.mark.parametrize("inputs", [64, 256, 320])
def test_the_outputs_are_nearer_than_without_feedback(inputs: int, group: int) -> None:
    weight, x = layer(48, inputs, 800)
    calibrated = gptq_int4(weight, x.t() @ x, group, torch.bfloat16)
    errors = [
        output_error(x, weight, rounded, group)
        for rounded in (
            calibrated,
            fit_int4(weight, group, torch.bfloat16),
            quantize_int4(weight, group, torch.bfloat16),
        )
    ]
    assert errors[0] < 0.8 * errors[1] < errors[1] < errors[2]
    fresh = layer(48, inputs, 1600)[1][800:]
    assert output_error(fresh, weight, calibrated, group) < 0.9 * output_error(
        fresh, weight, fit_int4(weight, group, torch.bfloat16), group
    ), "and on inputs that it has not seen"


def paper_gptq(weight: Values, hessian: Values, fitted: Int4Weight) -> Values:
    """Optimal Brain Quantization by columns: the plain update with H⁻¹ itself, in float64.

    Frantar et al. 2022, equations 2 and 3: after a column is rounded, the others move by
    -(w - ŵ) / [H⁻¹]ⱼⱼ · [H⁻¹]ⱼ: and the column leaves the inverse by one step of elimination.
    """
    inputs = weight.shape[1]
    damped = hessian + DAMPING * np.mean(np.diag(hessian)) * np.eye(inputs)
    inverse, rest = np.linalg.inv(damped), weight.copy()
    scale, zero = fitted.scale[:, 0].double().numpy(), fitted.zero[:, 0].double().numpy()
    q = np.zeros_like(weight)
    for column in range(inputs):
        q[:, column] = np.clip(np.round((rest[:, column] - zero) / scale) + 8, 0, 15)
        error = rest[:, column] - ((q[:, column] - 8) * scale + zero)
        pivot = inverse[column, column]
        rest[:, column:] -= np.outer(error / pivot, inverse[column, column:])
        inverse = inverse - np.outer(inverse[:, column], inverse[column]) / pivot
    return q


def test_it_is_the_papers_update() -> None:
    weight, x = layer(8, 64, 400, seed=3)
    hessian = x.t() @ x
    found = gptq_int4(weight, hessian, 64, torch.bfloat16)
    # One group: its scale and zero come from the weights before any update.
    fitted = fit_int4(weight, 64, torch.bfloat16)
    assert torch.equal(found.scale, fitted.scale)
    expected = paper_gptq(weight.double().numpy(), hessian.double().numpy(), fitted)
    assert (found.q.double().numpy() == expected).mean() > 0.99, "but for what is rounded at a tie"
    assert (fitted.q.double().numpy() == expected).mean() < 0.9, "which plain rounding is not"


def test_the_factor_is_the_cholesky_factor_of_the_damped_inverse() -> None:
    _, x = layer(1, 96, 500)
    hessian = x.t() @ x
    upper = inverse_factor(hessian).double()
    damped = hessian.double() + DAMPING * hessian.diagonal().double().mean() * torch.eye(96)
    assert torch.equal(upper, upper.triu())
    torch.testing.assert_close(upper.t() @ upper, damped.inverse(), rtol=1e-2, atol=1e-5)


def test_uncorrelated_inputs_leave_plain_rounding() -> None:
    weight, _ = layer(16, 128, 1)
    found = gptq_int4(weight, torch.eye(128) * 7.0, 64, torch.bfloat16)
    fitted = fit_int4(weight, 64, torch.bfloat16)
    for name in ("q", "scale", "zero"):
        assert torch.equal(getattr(found, name), getattr(fitted, name))


def test_inputs_that_are_never_used_do_no_harm() -> None:
    weight, x = layer(16, 128, 400)
    x[:, 5] = x[:, 70] = 0.0
    found = gptq_int4(weight, x.t() @ x, 64, torch.bfloat16)
    fitted = fit_int4(weight, 64, torch.bfloat16)
    assert output_error(x, weight, found, 64) < output_error(x, weight, fitted, 64)


def test_fewer_samples_than_inputs_are_damped() -> None:
    weight, x = layer(16, 128, 20)
    found = gptq_int4(weight, x.t() @ x, 64, torch.bfloat16)
    fitted = fit_int4(weight, 64, torch.bfloat16)
    assert output_error(x, weight, found, 64) < output_error(x, weight, fitted, 64)


@pytest.mark.parametrize("value", [0.0, float("nan"), float("inf")])
def test_a_hessian_of_nothing_is_refused(value: float) -> None:
    with pytest.raises(BadInputError, match="no finite inputs"):
        inverse_factor(torch.full((32, 32), value))
