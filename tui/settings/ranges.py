"""Ranges of whole numbers as users type them: `A` or `A:B`."""

from ...engine.protocol.errors import BadInputError
from ...engine.text.cleaning import clean


def parse_range(name: str, text: str) -> tuple[int, int]:
    """`A` or `A:B` as the smallest and the largest of a range of whole numbers from 1. Raises
    `BadInputError`; `name` is what the range is for."""
    first, _, last = text.partition(":")
    try:
        low, high = int(first), int(last or first)
    except ValueError:
        low, high = 0, 0
    if not 1 <= low <= high:
        raise BadInputError(
            f"{name} '{clean(text)}' is no range: give A or A:B, whole numbers with 1 <= A <= B"
        )
    return low, high
