"""The tables that `prodtop plan score` prints."""

import sys

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ...engine.planner.scoring.scoring import Metric, Report, Summary
from ...engine.text.cleaning import clean

PIPED_WIDTH = 140
"""Columns where there is no terminal to ask: nothing is cut off."""
TITLES: dict[Metric, str] = {
    "time": "Step time or tokens/s: predicted against measured",
    "memory": "Peak memory: predicted against measured",
}


def print_report(report: Report) -> None:
    """Print errors per source and overall, and the rows that could not be scored."""
    console = Console(width=None if sys.stdout.isatty() else PIPED_WIDTH, markup=False)
    for metric in TITLES:
        overall = report.summary(metric)
        if overall is not None:
            console.print(_errors(report, metric, overall))
    console.print(
        "Errors are absolute, signed ones means with their sign. The baseline knows one constant"
        " MFU for each source, the median of that source.",
        style="dim",
    )
    if not report.scored:
        console.print("no row could be scored", style="bold red")
    if report.skipped:
        console.print(_skipped(report))


def _errors(report: Report, metric: Metric, overall: Summary) -> Table:
    table = _table(TITLES[metric])
    table.add_column("source")
    with_baseline = overall.baseline_mean is not None
    baseline = ("baseline mean", "median", "p90") if with_baseline else ()
    for name in ("rows", "mean", "median", "p90", "signed", *baseline):
        table.add_column(name, justify="right", no_wrap=True)
    for source in report.sources(metric):
        summary = report.summary(metric, source)
        if summary is not None:
            table.add_row(clean(source) or "--", *_cells(summary, with_baseline))
    table.add_section()
    table.add_row("all", *_cells(overall, with_baseline), style="bold")
    return table


def _cells(summary: Summary, with_baseline: bool) -> list[str]:
    baseline = (summary.baseline_mean, summary.baseline_median, summary.baseline_p90)
    return [
        str(summary.rows),
        _share(summary.mean),
        _share(summary.median),
        _share(summary.p90),
        f"{100 * summary.signed:+.1f} %",
        *(map(_share, baseline) if with_baseline else ()),
    ]


def _share(value: float | None) -> str:
    return "--" if value is None else f"{100 * value:.1f} %"


def _skipped(report: Report) -> Table:
    table = _table(f"Not scored: {len(report.skipped)}")
    table.add_column("row", justify="right")
    table.add_column("source")
    table.add_column("reason")
    for row in report.skipped:
        table.add_row(str(row.row), clean(row.source) or "--", Text(clean(row.reason)))
    return table


def _table(title: str) -> Table:
    return Table(
        title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False
    )
