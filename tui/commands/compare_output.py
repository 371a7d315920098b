"""What `prodtop compare` prints: a matrix and findings, or JSON, on stdout; progress on stderr."""

import shutil
import sys

from ...engine.compare.curves import Curve
from ...engine.compare.html_report import Report
from ...engine.compare.matrix import Matrix
from ...engine.compare.metrics import METRICS
from ...engine.compare.recommend import Recommendation
from ...engine.compare.sweep import SweepProgress
from ...engine.compare.tables import (
    curve_headings,
    curve_rows,
    curve_words,
    entry_text,
    heading,
    state,
)
from ...engine.text.cleaning import clean
from .text_table import aligned, fitting


def progress_line(progress: SweepProgress) -> str:
    """`3 of 12 cells, hybrid bf16 repeat 2, about 4 min left`."""
    parts = [f"{progress.done_cells} of {progress.cells} cells done"]
    if progress.cell is not None:
        what = "warming up" if progress.warming_up else f"repeat {progress.repeat}"
        parts.append(f"{progress.cell} {what}")
    if progress.left_s is not None:
        parts.append(f"about {duration(progress.left_s)} left")
    return clean(", ".join(parts))


def duration(seconds: float) -> str:
    """`40 s`, `3 min 20 s`, `1 h 5 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def print_report(report: Report) -> None:
    """Print the matrix, the load curves, what they say, and what was asked for beyond."""
    _print_table(matrix_rows(report.matrix))
    for curve in report.curves:
        _print_curve(curve)
    lines = [each.text for each in report.insights]
    lines += (curve_words(curve) for curve in report.curves)
    if lines:
        print("\n" + "\n".join(f"- {clean(line)}" for line in lines))
    if report.recommendation is not None:
        print("\n" + "\n".join(clean(line) for line in recommendation_lines(report.recommendation)))
    if report.judgements:
        print("\nagainst the baseline:")
        for each in report.judgements:
            mark = "FAIL" if each.failed else "ok  "
            print(f"{mark} {clean(each.text)} [{each.rule}]")


def recommendation_lines(found: Recommendation) -> list[str]:
    """The recommendation in words."""
    if found.best is None:
        return [f"recommended: none; {found.why}", found.quality]
    lines = [f"recommended: {found.best.label}: {found.why}"]
    if found.needs is not None:
        lines.append(f"needs: {found.needs}")
    if found.runner_up is not None:
        lines.append(f"runner-up: {found.runner_up.label}: {found.runner_up_lacks}")
    return [*lines, found.quality]


def matrix_rows(matrix: Matrix) -> list[list[str]]:
    """The matrix as texts: a row each cell below the headings."""
    rows = [
        [
            f"{row.label} (baseline)" if row.label == matrix.baseline else row.label,
            *(entry_text(entry, is_baseline=row.label == matrix.baseline) for entry in row.entries),
            state(row),
        ]
        for row in matrix.rows
    ]
    headings = ["cell", *(heading(METRICS[name]) for name in matrix.metrics), "repeats"]
    return [[clean(text) for text in row] for row in (headings, *rows)]


def _print_curve(curve: Curve) -> None:
    print()
    print(f"{clean(curve.label)}:")
    rows = [curve_headings(curve), *curve_rows(curve)]
    _print_table([[clean(text) for text in row] for row in rows])


def _print_table(rows: list[list[str]]) -> None:
    """On a terminal without the columns that have no room; in a pipe with all."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    kept, left_out = fitting(rows, width)
    print("\n".join(aligned(kept, last_left=True)))
    if left_out:
        print(f"no room for {', '.join(left_out)}: --metric chooses")
