"""How the int4 level comes from a master weight: as it is served, or in another way to compare."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from ..protocol.errors import PrecisionUnavailableError
from .int4_fit import fit_int4
from .projection import AnyProjection, Int4Projection, master_weight
from .quantize import Int4Weight, quantize_int4

INT4_GROUP = 64
INT4_STORAGE = torch.bfloat16
"""The dtype of scales and zeros: that of the level's activations."""

Int4Rounding = Callable[[AnyProjection, torch.device], Int4Weight]
"""From a projection of the master copy to its values in 4 bits, on a device.

Raises `PrecisionUnavailableError` where the layer's shape does not fit.
"""


def served_int4(projection: AnyProjection, device: torch.device) -> Int4Weight:
    """What is served at int4: what a checkpoint stores in 4 bits as it is, else fitted."""
    if isinstance(projection, Int4Projection):
        return projection.to(device).quantized()
    return PlainInt4()(projection, device)


@dataclass(frozen=True, slots=True)
class PlainInt4:
    """Without a calibration text, in groups of `group` inputs; `None`: the level's own choice.

    `fitted`: scales and zeros of small squared error; else from minimum and maximum.
    """

    group: int | None = None
    fitted: bool = True

    def __call__(self, projection: AnyProjection, device: torch.device) -> Int4Weight:
        weight = master_weight(projection).to(device)
        group = int4_group(weight.shape[1], self.group)
        return (fit_int4 if self.fitted else quantize_int4)(weight, group, INT4_STORAGE)


def int4_group(columns: int, asked: int | None = None) -> int:
    """The group size for a layer of `columns` inputs: 64, or 32 where 64 does not divide them.

    Raises `PrecisionUnavailableError` where neither does, nor the one that was asked for.
    """
    for group in (INT4_GROUP, 32) if asked is None else (asked,):
        if columns % group == 0:
            return group
    raise PrecisionUnavailableError(
        f"int4 needs layers with inputs in multiples of {asked or 32}, this model has one of"
        f" {columns}"
    )
