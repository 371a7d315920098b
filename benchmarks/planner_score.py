"""How far the planner is from measured runs: python benchmarks/planner_score.py FILE.csv [--json]

Predicts each run of a CSV file (one a line, columns as in `planner_scoring/rows.py`, blank cells
allowed) and says how far off that is, per source and overall.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
from planner_scoring.scoring import Metric, Report, Scored, Summary, read_rows, score
from prodtop.engine.protocol.errors import BadInputError
from prodtop.engine.text.cleaning import clean
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

SCHEMA_VERSION = 1
PIPED_WIDTH = 140
"""Columns where there is no terminal to ask: nothing is cut off."""
TITLES: dict[Metric, str] = {
    "time": "Step time or tokens/s: predicted against measured",
    "memory": "Peak memory: predicted against measured",
}

Object = dict[str, object]


def as_object(report: Report) -> Object:
    """Summaries per metric, overall and per source, then every row, scored or not."""
    return {
        "schema_version": SCHEMA_VERSION,
        **{metric: _metric(report, metric) for metric in TITLES},
        "rows": [_row(one) for one in report.scored],
        "skipped": [msgspec.to_builtins(one) for one in report.skipped],
    }


def _metric(report: Report, metric: Metric) -> Object:
    summaries = {source: report.summary(metric, source) for source in report.sources(metric)}
    return {
        "overall": msgspec.to_builtins(report.summary(metric)),
        "stated": msgspec.to_builtins(report.summary(metric, stated=True)),
        "sources": {source: msgspec.to_builtins(one) for source, one in summaries.items()},
    }


def _row(one: Scored) -> Object:
    return {
        **msgspec.to_builtins(one),
        "error": one.error,
        "baseline_error": one.baseline_error,
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
    stated = report.summary(metric, stated=True)
    if stated is not None:
        table.add_row("layout and precision stated", *_cells(stated, with_baseline), style="bold")
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


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the scores; returns 2 where the file cannot be read, with a line on stderr."""
    parser = argparse.ArgumentParser(
        description="Score the planner against a CSV file of measured runs."
    )
    parser.add_argument("file", type=Path, metavar="FILE.csv", help="one run a line")
    parser.add_argument("--json", action="store_true", help="JSON instead of a table")
    given = parser.parse_args(arguments)
    try:
        report = score(read_rows(given.file.expanduser()))
    except BadInputError as error:
        print(f"planner_score: {clean(str(error))}", file=sys.stderr)
        return 2
    if given.json:
        print(msgspec.json.encode(as_object(report)).decode())
    else:
        print_report(report)
    return 0


if __name__ == "__main__":
    sys.exit(main())
