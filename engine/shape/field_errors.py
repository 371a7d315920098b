"""What the planner refuses, with the field that is wrong, so that a form can mark it."""

import math

from ..protocol.errors import BadInputError


class FieldError(BadInputError):
    """A value that cannot be planned with; `field` names it, `reason` says why in one line."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


LARGEST_COUNT = 2**53
"""Up to here every integer is exact as a float."""
LARGEST_LAYERS = 10_000
"""Far above any published model; what is stated for each layer is kept for each."""


def positive(field: str, value: int) -> int:
    """`value` where it is a whole number from 1 on; raises `FieldError` else."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise FieldError(field, f"must be a whole number, found {value!r}")
    if not 1 <= value <= LARGEST_COUNT:
        raise FieldError(field, f"must be a positive whole number, found {value}")
    return value


def positive_number(field: str, value: float) -> float:
    """`value` where it is finite and above 0; raises `FieldError` else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise FieldError(field, f"must be a finite number, found {value!r}")
    if value <= 0:
        raise FieldError(field, f"must be above 0, found {value}")
    return float(value)
