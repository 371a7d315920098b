"""A grid of characters and inks to paint on, and what differs between two of them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from textual.geometry import Region

from ..style.inks import Ink
from .line import Line

INKS: tuple[Ink, ...] = tuple(Ink)
INK_IDS: dict[Ink, int] = {ink: index for index, ink in enumerate(INKS)}
HIGHLIGHT = 0x80
"""Added to a cell's ink: the cell lies in the cursor's column."""

JOIN_CELLS = 12
"""Changed cells this close are repainted together: moving the cursor and setting a colour once
more takes as many bytes as a dozen cells in between."""


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
        for text, ink, _ in line.pieces:
            self.write(x, y, text, ink)
            x += len(text)

    def row(self, y: int) -> str:
        """The characters of a row as text."""
        return bytes(self.characters[y].tobytes()).decode("utf-32-le")

    def text(self) -> str:
        """All rows, for tests and for looking at."""
        return "\n".join(self.row(y).rstrip() for y in range(self.height))

    def changed_since(self, before: "Canvas") -> list[Region]:
        """The spans of rows that differ from a canvas of the same size, in reading order."""
        different = (self.characters != before.characters) | (self.inks != before.inks)
        rows, columns = np.nonzero(different)
        if len(rows) == 0:
            return []
        apart = (np.diff(rows) != 0) | (np.diff(columns) > JOIN_CELLS)
        breaks = np.flatnonzero(apart) + 1
        starts = np.concatenate(([0], breaks))
        ends = np.concatenate((breaks, [len(rows)])) - 1
        return [
            Region(first, y, last - first + 1, 1)
            for y, first, last in zip(
                rows[starts].tolist(), columns[starts].tolist(), columns[ends].tolist(), strict=True
            )
        ]

    def runs(self, y: int) -> list[tuple[str, int]]:
        """A row as text and ink id, a pair for each run.

        A blank cell joins the run before it: its colour cannot be seen, and every change of
        colour costs some forty bytes on the way to the terminal.
        """
        text, inks = self.row(y), self.inks[y]
        seen = (self.characters[y] != ord(" ")) | (inks >= HIGHLIGHT)
        seen[0] = True
        sources = np.maximum.accumulate(np.where(seen, np.arange(self.width), 0))
        carried = np.where(~seen & (inks[sources] < HIGHLIGHT), inks[sources], inks)
        breaks = (np.flatnonzero(carried[1:] != carried[:-1]) + 1).tolist()
        return [
            (text[start:end], int(carried[start]))
            for start, end in zip([0, *breaks], [*breaks, self.width], strict=True)
        ]
