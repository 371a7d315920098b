"""A grid of characters and inks to paint on, and what differs between two of them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from textual.geometry import Region

from ..look import Ink
from .segments import Line

INKS: tuple[Ink, ...] = tuple(Ink)
INK_IDS: dict[Ink, int] = {ink: index for index, ink in enumerate(INKS)}
HIGHLIGHT = 0x80
"""Added to a cell's ink: the cell lies in the cursor's column."""

JOIN_CELLS = 6
"""Changed cells this close are repainted together: a cursor movement costs about as much."""


@dataclass(frozen=True, slots=True)
class Canvas:
    """Code points and ink ids, each `[rows, columns]`; every character is one cell wide."""

    characters: NDArray[np.uint32]
    inks: NDArray[np.uint8]

    @classmethod
    def blank(cls, width: int, height: int) -> "Canvas":
        return cls(
            np.full((height, width), ord(" "), dtype=np.uint32),
            np.zeros((height, width), dtype=np.uint8),
        )

    @property
    def height(self) -> int:
        return int(self.characters.shape[0])

    @property
    def width(self) -> int:
        return int(self.characters.shape[1])

    def write(self, x: int, y: int, text: str, ink: Ink) -> None:
        """Put text on one row; what lies outside the canvas is cut off."""
        if not 0 <= y < self.height:
            return
        if x < 0:
            text, x = text[-x:], 0
        text = text[: max(0, self.width - x)]
        if text:
            self.characters[y, x : x + len(text)] = np.frombuffer(
                text.encode("utf-32-le"), dtype=np.uint32
            )
            self.inks[y, x : x + len(text)] = INK_IDS[ink]

    def write_line(self, x: int, y: int, line: Line) -> None:
        """Put a line of several inks on one row."""
        for text, ink in line.pieces:
            self.write(x, y, text, ink)
            x += len(text)

    def row(self, y: int) -> str:
        """The characters of a row as text."""
        return bytes(self.characters[y].tobytes()).decode("utf-32-le")

    def text(self) -> str:
        """All rows, for tests and for looking at."""
        return "\n".join(self.row(y).rstrip() for y in range(self.height))

    def changed_since(self, before: "Canvas") -> list[Region]:
        """The spans that differ from a canvas of the same size, at most a few for each row."""
        different = (self.characters != before.characters) | (self.inks != before.inks)
        regions: list[Region] = []
        for y in np.flatnonzero(different.any(axis=1)):
            columns = np.flatnonzero(different[y])
            breaks = np.flatnonzero(np.diff(columns) > JOIN_CELLS)
            starts = columns[np.concatenate(([0], breaks + 1))]
            ends = columns[np.concatenate((breaks, [len(columns) - 1]))]
            regions += [
                Region(int(start), int(y), int(end - start + 1), 1)
                for start, end in zip(starts, ends, strict=True)
            ]
        return regions
