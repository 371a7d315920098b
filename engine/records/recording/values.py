"""The kinds of values that a recording stores, and how exactly it keeps each.

Measured figures are kept as single-precision floats (a relative error of 6e-8), times and energy
counters in steps of a millionth. Whoever records rounds what the screen gets as well, so that a
replay has the very figures that were shown.
"""

import math
import struct
from enum import IntEnum

Tree = dict[str, "Value"]
"""A message as `msgspec.to_builtins` gives it."""
Value = bool | int | float | str | list["Value"] | Tree | None

LENGTH = -1
"""In a path: the length of the list there."""
PathKey = str | int
"""A key of a dict, the place in a list, or `LENGTH`."""

PRECISE = frozenset({"at_s", "wall_s", "uptime_s", "arrival_at_s", "energy_j"})
"""Fields that count up from long ago: a single-precision float would lose what they grow by."""
MICROS = 1e6
_MOST_PRECISE = 4e9
"""Up to here a double holds a millionth."""

SINGLE = struct.Struct("<f")
DOUBLE = struct.Struct("<d")


class Kind(IntEnum):
    """How a value is stored. The numbers are part of the format."""

    ABSENT = 0
    NONE = 1
    FALSE = 2
    TRUE = 3
    INT = 4
    """The difference to the value before, or to 0 where that was none."""
    PRECISE = 5
    """Likewise, in millionths."""
    SINGLE = 6
    DOUBLE = 7
    TEXT = 8
    """How many characters it begins with of the text before, and the rest."""
    EMPTY = 9
    """A dict without keys."""


def kind_of(value: bool | int | float | str | None, key: PathKey) -> Kind:
    """How a leaf of a tree is stored, by its value and the last key of its path."""
    match value:
        case None:
            return Kind.NONE
        case bool():
            return Kind.TRUE if value else Kind.FALSE
        case int():
            return Kind.INT
        case str():
            return Kind.TEXT
        case _ if key in PRECISE and abs(value) < _MOST_PRECISE:
            return Kind.PRECISE
        case _:
            return Kind.SINGLE if _fits_single(value) else Kind.DOUBLE


def _fits_single(value: float) -> bool:
    return math.isfinite(value) and abs(value) < 3e38


def rounded(value: Value, key: PathKey = "") -> Value:
    """A tree with every figure as a recording keeps it."""
    match value:
        case dict():
            return rounded_tree(value)
        case list():
            return [rounded(each, place) for place, each in enumerate(value)]
        case float():
            match kind_of(value, key):
                case Kind.PRECISE:
                    return round(value * MICROS) / MICROS
                case Kind.SINGLE:
                    single: float = SINGLE.unpack(SINGLE.pack(value))[0]
                    return single
                case _:
                    return value
        case _:
            return value


def rounded_tree(tree: Tree) -> Tree:
    """As `rounded`, of a whole message."""
    return {key: rounded(value, key) for key, value in tree.items()}
