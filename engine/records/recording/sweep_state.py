"""What the user asked for of measuring cells: with it and the results, which are events, a replay
works out how far a comparison had come."""

from enum import StrEnum
from typing import Literal

import msgspec

from ...compare.cells import Comparison
from ..figure_bounds import check_numbers
from .database import COMMAND

MOST_CELLS = 1_000
"""Of a comparison: more than the screen ever asks for."""


class SweepOf(StrEnum):
    """What cells are measured for."""

    MATRIX = "matrix"
    """The Compare tab."""
    CURVE = "curve"
    """The load curve of the Production tab."""


Asked = Literal["begin", "stop", "keep"]


class SweepState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A sweep begins with the cells of `comparison`, or is told to stop; `keep`: one that had ended
    when the recording began, `stage` and `ended` say how. `clock_s` is the screen's clock."""

    of: SweepOf
    asked: Asked
    clock_s: float
    comparison: Comparison | None = None
    stage: str = ""
    ended: str = ""


SWEEP_KIND = COMMAND + SweepState.__name__
"""In the table of events. Who does not know it passes over it, as over all that was asked for."""


def decoded_sweep(message: str) -> SweepState:
    """The state as it was recorded. Raises `ValueError` or what msgspec does."""
    state = msgspec.json.decode(message, type=SweepState)
    check_numbers(msgspec.structs.asdict(state))
    comparison = state.comparison
    if (comparison is None) != (state.asked == "stop"):
        raise ValueError("a sweep has no cells, or too many")
    if comparison is not None and not 0 < len(comparison.cells) <= MOST_CELLS:
        raise ValueError(f"a sweep has {len(comparison.cells)} cells")
    return state
