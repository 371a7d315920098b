"""The matrix: every cell by any metric, beside a baseline, sorted and filtered."""

from collections.abc import Sequence

import msgspec

from ..protocol.errors import BadInputError
from .cells import Cell, Comparison, Measured, label
from .median import Median, Verdict, compare
from .metrics import Metric, summary
from .samples import NO_LIMITS, Limits


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One metric of one cell; `None` for what was not measured.

    `relative`: the median over the baseline's. `verdict`: where it lies from the baseline.
    """

    metric: str
    median: Median | None
    relative: float | None = None
    verdict: Verdict | None = None


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One cell with its entries, in the order of the matrix's metrics."""

    cell: Cell
    label: str
    entries: list[Entry]
    repeats: int
    failed_requests: int
    skipped: str | None = None
    failure: str | None = None

    def entry(self, metric: str) -> Entry | None:
        """The entry of a metric."""
        return next((each for each in self.entries if each.metric == metric), None)


class Matrix(msgspec.Struct, frozen=True, kw_only=True):
    """Rows of cells; `baseline` is the label of the one that they are compared with."""

    metrics: list[str]
    baseline: str | None
    rows: list[Row]


def matrix(
    comparison: Comparison,
    metrics: Sequence[Metric],
    *,
    limits: Limits = NO_LIMITS,
    baseline: Cell | None = None,
) -> Matrix:
    """All cells, those without results too, in the order asked for."""
    cells = [each.cell for each in comparison.cells]
    base = None if baseline is None else comparison.find(baseline)
    against = {
        metric.name: None if base is None else summary(comparison, base, metric, limits)
        for metric in metrics
    }
    rows = [
        Row(
            cell=each.cell,
            label=label(each.cell, cells),
            entries=[
                entry(metric, summary(comparison, each, metric, limits), against[metric.name])
                for metric in metrics
            ],
            repeats=len(each.repeats),
            failed_requests=each.failed_requests,
            skipped=each.skipped,
            failure=each.failure,
        )
        for each in comparison.cells
    ]
    return Matrix(
        metrics=[metric.name for metric in metrics],
        baseline=None if base is None else label(base.cell, cells),
        rows=rows,
    )


def entry(metric: Metric, found: Median | None, base: Median | None) -> Entry:
    """A metric's median beside the baseline's."""
    if found is None or base is None:
        return Entry(metric=metric.name, median=found)
    return Entry(
        metric=metric.name,
        median=found,
        relative=found.value / base.value if base.value else None,
        verdict=compare(found, base),
    )


def sorted_rows(rows: Sequence[Row], metric: Metric, *, worst_first: bool = False) -> list[Row]:
    """Rows by a metric, the best first (the highest, if it has no direction); without it last.

    Equal ones keep their order.
    """
    highest_first = metric.higher_is_better is not False

    def value(row: Row) -> float | None:
        found = row.entry(metric.name)
        return None if found is None or found.median is None else found.median.value

    known = [row for row in rows if value(row) is not None]
    unknown = [row for row in rows if value(row) is None]
    known.sort(key=lambda row: value(row) or 0.0, reverse=highest_first is not worst_first)
    return known + unknown


def filtered(rows: Sequence[Row], words: str) -> list[Row]:
    """The rows whose label has every one of `words`, parted by spaces."""
    wanted = words.lower().split()
    return [row for row in rows if all(word in row.label.lower() for word in wanted)]


def cell_labelled(comparison: Comparison, words: str) -> Measured:
    """The only cell whose label has all of `words`, whole words before parts of words.

    Raises `BadInputError` where there is none, or several.
    """
    cells = [each.cell for each in comparison.cells]
    labels = [label(cell, cells) for cell in cells]
    wanted = words.lower().split()
    exact = [index for index, text in enumerate(labels) if set(wanted) <= set(text.lower().split())]
    found = exact or [i for i, text in enumerate(labels) if all(w in text.lower() for w in wanted)]
    same = [index for index in found if labels[index].lower().split() == wanted]
    found = same or found
    if len(found) == 1 and wanted:
        return comparison.cells[found[0]]
    if found and wanted:
        names = ", ".join(labels[index] for index in found)
        raise BadInputError(f"'{words}' names several cells ({names}): say which")
    raise BadInputError(f"no cell is named '{words}': choose from {', '.join(labels)}")
