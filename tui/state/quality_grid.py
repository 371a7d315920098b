"""The matrices of a model as a grid of layers and names, and a cursor that walks over it. Pure."""

from dataclasses import dataclass

from ...engine.protocol import ErrorReport, MatrixError


@dataclass(frozen=True, slots=True)
class Grid:
    """The matrices of a report by layer and name: what the cursor walks over."""

    layers: tuple[int, ...]
    names: tuple[str, ...]
    cells: dict[tuple[int, str], MatrixError]

    @classmethod
    def of(cls, report: ErrorReport | None) -> "Grid":
        matrices = report.matrices if report is not None else []
        cells = {(each.layer, each.matrix): each for each in matrices}
        layers, names = (
            (tuple(dict.fromkeys(axis)) for axis in zip(*cells, strict=True)) if cells else ((), ())
        )
        return cls(layers, names, cells)

    def at(self, cursor: "Cursor") -> MatrixError | None:
        """What lies under the cursor, which may be outside."""
        if not self.cells:
            return None
        inside = cursor.within(self)
        return self.cells.get((self.layers[inside.layer], self.names[inside.matrix]))


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in the grid: how many layers from the left, how many matrices from the top."""

    layer: int = 0
    matrix: int = 0

    def moved(self, layers: int, matrices: int, grid: Grid) -> "Cursor":
        inside = self.within(grid)
        return Cursor(inside.layer + layers, inside.matrix + matrices).within(grid)

    def within(self, grid: Grid) -> "Cursor":
        return Cursor(
            min(max(0, self.layer), max(0, len(grid.layers) - 1)),
            min(max(0, self.matrix), max(0, len(grid.names) - 1)),
        )
