"""Pieces of making a runner ready, made up: what stands in for it serves between them."""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class MadeUp:
    """`eager_runner.Piece`."""

    what: str
    blocked: bool


def pieces_of(count: int) -> Iterator[MadeUp]:
    """Every other one waits."""
    return (MadeUp(f"piece {number}", number % 2 == 1) for number in range(count))
