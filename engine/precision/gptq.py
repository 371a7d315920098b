"""GPTQ: int4 that makes up for each input's rounding by the inputs that are not rounded yet.

Source: Frantar et al. 2022, "GPTQ: Accurate Post-Training Quantization for Generative Pre-trained
Transformers" (arXiv 2210.17323), algorithm 1, with the groups' scales and zeros set when the first
input of a group is reached, by the weights as they then are.
"""

import torch
from torch import Tensor

from ..protocol.errors import BadInputError
from .int4_fit import fit_int4
from .quantize import Int4Weight, round_to_int4

DAMPING = 0.01
"""Of the mean of the Hessian's diagonal, added to it: the paper's."""
_MOST_DAMPING = 1.0
_BLOCK = 128
"""Inputs whose errors are fed back among themselves before the rest gets them in one product."""


def gptq_int4(weight: Tensor, hessian: Tensor, group: int, storage: torch.dtype) -> Int4Weight:
    """int4 of `weight` `[out, in]` in groups of `group` inputs, for inputs of `hessian`.

    `hessian` is the sum of xᵀx over the calibration's inputs `[rows, in]`, up to a factor, fp32
    `[in, in]`. Raises `BadInputError` where it is no finite sum of squares.
    """
    rows, inputs = weight.shape
    feedback = inverse_factor(hessian)
    rest = weight.float().clone()
    q = torch.empty(rows, inputs, dtype=torch.int32, device=weight.device)
    scale = rest.new_empty(rows, inputs // group)
    zero = torch.empty_like(scale)
    step = max(_BLOCK, group)
    for first in range(0, inputs, step):
        block = slice(first, min(first + step, inputs))
        errors = rest.new_empty(rows, block.stop - first)
        for column in range(first, block.stop):
            index = column // group
            if column % group == 0:
                fitted = fit_int4(rest[:, column : column + group].contiguous(), group, storage)
                scale[:, index], zero[:, index] = fitted.scale[:, 0], fitted.zero[:, 0]
            exact = rest[:, column]
            by, at = scale[:, index], zero[:, index]
            level = round_to_int4(exact.unsqueeze(1), by, at).squeeze(1)
            q[:, column] = level
            error = (exact - torch.addcmul(at, level - 8.0, by)) / feedback[column, column]
            errors[:, column - first] = error
            after = slice(column + 1, block.stop)
            rest[:, after].addr_(error, feedback[column, after], alpha=-1)
        rest[:, block.stop :].addmm_(errors, feedback[block, block.stop :], alpha=-1)
    return Int4Weight(q, scale, zero)


def damped(hessian: Tensor, damping: float = DAMPING) -> Tensor:
    """With `damping` times the mean of the diagonal added to it. Inputs that are always 0 count as
    much as that mean."""
    diagonal, found = hessian.diagonal(), hessian.clone()
    mean = diagonal.mean()
    found.diagonal().copy_(torch.where(diagonal > 0, diagonal, mean) + damping * mean)
    return found


def inverse_factor(hessian: Tensor) -> Tensor:
    """The upper Cholesky factor `[in, in]` of the damped Hessian's inverse.

    Inputs that are always 0 count as alone: nothing is fed back from them. Where the damped Hessian
    is not positive definite in fp32, it is damped more. Raises `BadInputError` where that ends.
    """
    damping, mean = DAMPING, float(hessian.diagonal().mean())
    if not 0 < mean < float("inf"):
        raise BadInputError("the calibration text gives a layer no finite inputs other than 0")
    while damping <= _MOST_DAMPING:
        factor, failed = torch.linalg.cholesky_ex(damped(hessian, damping))
        if not int(failed):
            inverse = torch.cholesky_inverse(factor)
            upper: Tensor
            upper, failed = torch.linalg.cholesky_ex(inverse, upper=True)
            if not int(failed):
                return upper
        damping *= 10
    raise BadInputError("the calibration text is too short for a layer: use a longer one")
