"""A comparison as one HTML file: it needs no network, no script and no other file."""

from collections.abc import Sequence

import msgspec

from .against import Judgement
from .cells import Comparison
from .charts import Mark, bars, escaped, load_curves, scatter
from .curves import Curve
from .insights import LATENCY, THROUGHPUT, Insight
from .matrix import Matrix, Row, matrix
from .median import Median
from .metrics import METRICS
from .recommend import Recommendation
from .tables import curve_headings, curve_rows, curve_words, entry_text, heading, state

_CHARTED = (THROUGHPUT, "ttft_p95_ms", LATENCY, "memory_bytes", "j_per_token")

STYLE = """
:root { color-scheme: light dark; --ink: #1b2430; --dim: #5c6773; --paper: #fff; --bar: #4a7fb5;
  --line: #d5dbe1; --bad: #b3261e }
@media (prefers-color-scheme: dark) { :root { --ink: #dde3ea; --dim: #96a1ad; --paper: #14181d;
  --bar: #4f86bd; --line: #353d46; --bad: #ff8a80 } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 1100px; margin: 2rem auto; padding: 0 1rem }
h1, h2 { font-weight: 600; line-height: 1.2 } h2 { margin-top: 2.2rem }
p.dim, .dim { color: var(--dim) } .bad { color: var(--bad) }
div.wide { overflow-x: auto }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { padding: .25rem .6rem; border-bottom: 1px solid var(--line); text-align: right;
  white-space: nowrap } th:first-child, td:first-child { text-align: left }
tr.baseline td { font-weight: 600 }
svg { width: 100%; max-width: 760px; height: auto; display: block }
svg text { font-size: 12px; fill: var(--ink) }
.bar { fill: var(--bar) } .interval { stroke: var(--ink); stroke-width: 1.5 }
.axis { stroke: var(--dim); fill: none } .line { fill: none; stroke-width: 2 }
.point, .front { stroke: var(--paper); stroke-width: 1; fill: currentColor }
.front { stroke: var(--ink); stroke-width: 2 }
.c0 { color: #4a7fb5; stroke: #4a7fb5 } .c1 { color: #c8743a; stroke: #c8743a }
.c2 { color: #4d9a5b; stroke: #4d9a5b } .c3 { color: #9a62b0; stroke: #9a62b0 }
.c4 { color: #b5524f; stroke: #b5524f } .c5 { color: #3f9c9c; stroke: #3f9c9c }
.c6 { color: #a08a2e; stroke: #a08a2e } .c7 { color: #7a7f88; stroke: #7a7f88 }
"""
"""Of every report."""


def page(title: str, sections: Sequence[str], style: str = "") -> str:
    """A whole file of sections; empty ones are left out. It is well-formed XML as well."""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head><meta charset="utf-8"/>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"/>'
        f"<title>{escaped(title)}</title><style>{STYLE}{style}</style></head>\n<body>\n"
        + "\n".join(filter(None, sections))
        + "\n</body>\n</html>\n"
    )


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """All that a report shows; empty or `None` parts are left out."""

    comparison: Comparison
    matrix: Matrix
    insights: list[Insight]
    curves: list[Curve]
    recommendation: Recommendation | None = None
    judgements: list[Judgement] = []


def html_report(report: Report) -> str:
    """The whole file. It is well-formed XML as well."""
    work = report.comparison.work
    title = f"prodtop compare: {work.model}"
    sections = [
        _heading(report),
        _findings(report.insights),
        _recommendation(report.recommendation),
        _judgements(report.judgements),
        section("Matrix", _table(report.matrix)),
        *_charts(report),
        _curves(report.curves),
    ]
    return page(title, sections)


def section(title: str, body: str) -> str:
    return f"<section><h2>{escaped(title)}</h2>\n{body}\n</section>"


def _heading(report: Report) -> str:
    work = report.comparison.work
    results = [each for cell in report.comparison.cells for each in cell.repeats]
    on = results[0].device if results else work.device
    versions = results[0].versions if results else {}
    told = ", ".join(f"{name} {version}" for name, version in versions.items())
    return (
        f"<h1>{escaped(work.model)} on {escaped(on)}</h1>"
        f'<p class="dim">{work.requests:,} requests a cell and repeat; {escaped(told)}.'
        " Medians over the repeats; ± is the larger half of an interval of the median from order"
        " statistics, which assumes no distribution. (=): no difference measured; ?: too few"
        " repeats to say.</p>"
    )


def _findings(insights: Sequence[Insight]) -> str:
    if not insights:
        return ""
    items = "".join(f"<li>{escaped(each.text)}</li>" for each in insights)
    return section("What it shows", f"<ul>{items}</ul>")


def _recommendation(found: Recommendation | None) -> str:
    if found is None:
        return ""
    name = "no cell" if found.best is None else found.best.label
    lines = [f"<strong>{escaped(name)}</strong>: {escaped(found.why)}"]
    if found.needs is not None:
        lines.append(f"needs {escaped(found.needs)}")
    if found.runner_up is not None and found.runner_up_lacks is not None:
        lines.append(f"next {escaped(found.runner_up.label)}: {escaped(found.runner_up_lacks)}")
    lines.append(escaped(found.quality))
    return section("Recommendation", "".join(f"<p>{line}</p>" for line in lines))


def _judgements(judgements: Sequence[Judgement]) -> str:
    if not judgements:
        return ""
    items = "".join(
        f"<li{_class('bad' if each.failed else '')}>{escaped(each.text)}</li>"
        for each in judgements
    )
    return section("Against the baseline", f"<ul>{items}</ul>")


def _class(name: str) -> str:
    return f' class="{name}"' if name else ""


def _table(found: Matrix) -> str:
    headings = ["cell", *(heading(METRICS[name]) for name in found.metrics), "repeats"]
    head = "".join(f"<th>{escaped(text)}</th>" for text in headings)
    rows = "".join(_row(row, is_baseline=row.label == found.baseline) for row in found.rows)
    return f'<div class="wide"><table><tr>{head}</tr>{rows}</table></div>'


def _row(row: Row, *, is_baseline: bool) -> str:
    texts = [entry_text(entry, is_baseline=is_baseline) for entry in row.entries]
    cells = "".join(f"<td>{escaped(text)}</td>" for text in (row.label, *texts))
    bad = bool(row.failure or row.failed_requests)
    last = f"<td{_class('bad' if bad else '')}>{escaped(state(row))}</td>"
    return f"<tr{_class('baseline' if is_baseline else '')}>{cells}{last}</tr>"


def _charts(report: Report) -> list[str]:
    charts: list[str] = []
    rows = matrix(report.comparison, [METRICS[name] for name in _CHARTED]).rows
    for name in _CHARTED:
        named = [(row.label, _median(row, name)) for row in rows]
        if any(found is not None for _, found in named):
            charts.append(section(METRICS[name].label, bars(METRICS[name], named)))
    front = next((each.cells for each in report.insights if each.topic == "pareto"), [])
    marks = [
        Mark(name=row.label, x=x, y=y, bold=row.label in front)
        for row in rows
        if (x := _median(row, LATENCY)) is not None and (y := _median(row, THROUGHPUT)) is not None
    ]
    if marks:
        body = scatter(METRICS[LATENCY], METRICS[THROUGHPUT], marks)
        charts.append(section("Throughput against latency, Pareto front named", body))
    return charts


def _median(row: Row, metric: str) -> Median | None:
    entry = row.entry(metric)
    return None if entry is None else entry.median


def _curves(curves: Sequence[Curve]) -> str:
    if not curves:
        return ""
    words = "".join(f"<li>{escaped(text)}</li>" for text in map(curve_words, curves))
    tables = "".join(_curve_table(curve) for curve in curves)
    return section("Load curves", f"{load_curves(curves)}<ul>{words}</ul>{tables}")


def _curve_table(curve: Curve) -> str:
    head = "".join(f"<th>{escaped(text)}</th>" for text in curve_headings(curve))
    rows = "".join(
        "<tr>" + "".join(f"<td>{escaped(text)}</td>" for text in row) + "</tr>"
        for row in curve_rows(curve)
    )
    caption = f"<caption>{escaped(curve.label)}</caption>"
    return f'<div class="wide"><table>{caption}<tr>{head}</tr>{rows}</table></div>'
