"""Numbers that nothing counted or measured can have: a file may state them all the same."""

import math
from collections.abc import Mapping

import msgspec

from ..protocol import ErrorReport, LevelQuality

LARGEST_NUMBER = 1e21
"""Above all that is counted or measured: a GPU computes 1e16 FLOP/s."""
LARGEST_TIME_S = 253_402_214_400.0
"""The last day of the year 9999, in UTC: no calendar goes on."""

TIMES = frozenset({"saved_wall_s", "wall_s"})
"""Fields that hold Unix time."""


def number_problem(name: str, value: float) -> str | None:
    """What is wrong with a number in the field `name`; `None` where nothing is."""
    if not abs(value) < LARGEST_NUMBER:
        return f"{name} is too large for a figure"
    if isinstance(value, int):
        return f"{name} is below 0: {value}" if value < 0 and name != "other_bytes" else None
    if name in TIMES and not 0 <= value < LARGEST_TIME_S:
        return f"{name} is no date: {value:g}"
    return None


def check_numbers(fields: Mapping[str, object]) -> None:
    """Raise `ValueError` for a number that nothing counted or measured can have. What lies in the
    curves is never written out; of a broken level perplexity and divergence may be anything."""
    for name, value in fields.items():
        match value:
            case bool():
                pass
            case LevelQuality() | ErrorReport():
                _check_broken(msgspec.structs.asdict(value))
            case int() | float():
                problem = number_problem(name, value)
                if problem is not None:
                    raise ValueError(problem)
            case msgspec.Struct():
                check_numbers(msgspec.structs.asdict(value))
            case dict() if name != "series":
                check_numbers({str(key): each for key, each in value.items()})
            case list():
                check_numbers({f"{name}[{at}]": each for at, each in enumerate(value)})
            case _:
                pass


def _check_broken(fields: Mapping[str, object]) -> None:
    """As `check_numbers`, but for the size of what is no count."""
    for name, value in fields.items():
        match value:
            case float():
                if not math.isfinite(value):
                    raise ValueError(f"{name} is no number")
            case msgspec.Struct():
                _check_broken(msgspec.structs.asdict(value))
            case list():
                _check_broken({f"{name}[{at}]": each for at, each in enumerate(value)})
            case _:
                check_numbers({name: value})
