"""Lowering the error of calibrated int4 weights, one input and one group at a time.

What counts is the error of a layer's outputs, tr((W - Ŵ) H (W - Ŵ)ᵀ) for the Hessian H of its
inputs. A pass takes the best scale and zero of each group, given all levels (least squares in two
unknowns), and then the best level of each input, given all others. Neither can make it larger.

Source of the latter: Behdin et al. 2023, "QuantEase: Optimization-based Quantization for Language
Models" (arXiv 2309.01885), algorithm 1, from GPTQ's result.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from .quantize import Int4Weight, round_to_int4

PASSES = 3
"""The fourth lowers the error by less than 1 %: docs/quality.md."""
_BLOCK = 64
"""Inputs whose changes are fed back among themselves before the error of the rest is computed."""


def descend(weight: Tensor, start: Int4Weight, hessian: Tensor, storage: torch.dtype) -> Int4Weight:
    """int4 of `weight` `[out, in]` from `start`, of no larger error for inputs of `hessian`.

    `hessian` is fp32 `[in, in]`, positive definite; scales and zeros are as `storage` has them.
    """
    state = _State(weight.float(), start, hessian)
    for _ in range(PASSES):
        state.fit_groups(storage)
        state.choose_levels()
    state.fit_groups(storage)
    return Int4Weight(state.levels.to(torch.int32), state.scale, state.zero)


@dataclass(frozen=True, slots=True)
class _Parabola:
    """A row's error by the scale and the zero of one group, but for a constant; each `[out]`."""

    scale_scale: Tensor
    scale_zero: Tensor
    zero_zero: Tensor
    of_scale: Tensor
    of_zero: Tensor

    @staticmethod
    def of(steps: Tensor, own: Tensor, slope: Tensor) -> "_Parabola":
        """`steps` `[out, group]` are levels from the middle, `own` `[group, group]` is the group's
        part of the Hessian, `slope` half the gradient were the group's weights stored as 0."""
        by_steps = steps @ own
        return _Parabola(
            (by_steps * steps).sum(1),
            by_steps.sum(1),
            own.sum(),
            (slope * steps).sum(1),
            slope.sum(1),
        )

    def at(self, scale: Tensor, zero: Tensor) -> Tensor:
        square = scale * (scale * self.scale_scale + 2 * zero * self.scale_zero)
        square = square + zero * zero * self.zero_zero
        return square - 2 * (scale * self.of_scale + zero * self.of_zero)

    def least(self) -> tuple[Tensor, Tensor]:
        """Scale and zero where it is least; no numbers where the levels are all alike."""
        determinant = self.scale_scale * self.zero_zero - self.scale_zero * self.scale_zero
        scale = self.of_scale * self.zero_zero - self.of_zero * self.scale_zero
        zero = self.of_zero * self.scale_scale - self.of_scale * self.scale_zero
        return scale / determinant, zero / determinant


class _State:
    """Levels fp32 `[out, in]`, scales and zeros fp32 `[out, groups]`, and W - Ŵ `[out, in]`."""

    def __init__(self, weight: Tensor, start: Int4Weight, hessian: Tensor) -> None:
        self.levels = start.q.float()
        self.scale, self.zero = start.scale.clone(), start.zero.clone()
        self._hessian = hessian
        self._group = weight.shape[1] // start.scale.shape[1]
        self._error = weight.clone()
        for index in range(start.scale.shape[1]):
            self._error[:, self._inputs(index)] -= self._stored(index)

    def _inputs(self, index: int) -> slice:
        return slice(index * self._group, (index + 1) * self._group)

    def _stored(self, index: int) -> Tensor:
        """What a group's inputs are stored as, `[out, group]`."""
        steps = self.levels[:, self._inputs(index)] - 8.0
        return torch.addcmul(self.zero[:, index, None], steps, self.scale[:, index, None])

    def fit_groups(self, storage: torch.dtype) -> None:
        """The best scale and zero of each group, where that is better as it is stored."""
        for index in range(self.scale.shape[1]):
            inputs = self._inputs(index)
            steps, own = self.levels[:, inputs] - 8.0, self._hessian[inputs, inputs]
            before = self._stored(index)
            slope = self._error @ self._hessian[:, inputs] + before @ own
            parabola = _Parabola.of(steps, own, slope)
            scale, zero = (each.to(storage).float() for each in parabola.least())
            old_scale, old_zero = self.scale[:, index], self.zero[:, index]
            # False as well where they are no numbers: all levels of the group are alike.
            better = parabola.at(scale, zero) < parabola.at(old_scale, old_zero)
            better &= scale > 0
            self.scale[:, index] = torch.where(better, scale, old_scale)
            self.zero[:, index] = torch.where(better, zero, old_zero)
            self._error[:, inputs] += before - self._stored(index)

    def choose_levels(self) -> None:
        """The best level of each input, one after the other, given all the others."""
        hessian, count = self._hessian, self.levels.shape[1]
        for first in range(0, count, _BLOCK):
            block = slice(first, min(first + _BLOCK, count))
            slopes = self._error @ hessian[:, block]
            for column in range(first, block.stop):
                scale, zero = (each[:, column // self._group] for each in (self.scale, self.zero))
                before = torch.addcmul(zero, self.levels[:, column] - 8.0, scale)
                wanted = before + slopes[:, column - first] / hessian[column, column]
                level = round_to_int4(wanted.unsqueeze(1), scale, zero).squeeze(1)
                change = torch.addcmul(zero, level - 8.0, scale) - before
                slopes.addr_(change, hessian[column, block], alpha=-1)
                self._error[:, column] -= change
                self.levels[:, column] = level
