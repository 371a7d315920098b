"""Tables of text for a terminal or a pipe: columns as wide as their widest cell."""

from collections.abc import Sequence

GAP = "  "


def aligned(rows: Sequence[Sequence[str]], *, last_left: bool = False) -> list[str]:
    """Rows of equal length as lines: figures to the right, the first column to the left.

    `last_left`: the last one too, where it holds words.
    """
    left = {0, len(rows[0]) - 1} if last_left else {0}
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        GAP.join(
            cell.ljust(width) if index in left else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def fitting(rows: Sequence[Sequence[str]], width: int | None) -> tuple[list[list[str]], list[str]]:
    """The rows with the columns that fit into `width` characters, and the headings left out.

    The first and the last column stay; of those between, the last go first. `None`: all fit.
    """
    kept = [list(row) for row in rows]
    left_out: list[str] = []
    while width is not None and len(kept[0]) > 2 and max(map(len, aligned(kept))) > width:
        left_out.insert(0, kept[0][-2])
        kept = [[*row[:-2], row[-1]] for row in kept]
    return kept, left_out
