"""A comparison as rows of text: for CSV, Markdown, HTML and the terminal alike."""

import csv
import io
from collections.abc import Sequence

from .cells import Cell, load_label
from .curves import Curve, describe_at_limits
from .matrix import Entry, Matrix, Row
from .median import Median, Verdict
from .metrics import METRICS, Metric
from .wording import MISSING, Unit, change, figure

_MARKDOWN = str.maketrans({"|": "\\|", "<": "&lt;", ">": "&gt;", "\n": " "})


def entry_text(entry: Entry, *, is_baseline: bool = False) -> str:
    """`1,230 ±2.1%`, and beside a baseline its change: `+12 %`, `=` where no difference was
    measured, `?` where too few repeats say so."""
    metric, found = METRICS[entry.metric], entry.median
    if found is None:
        return MISSING
    text = figure(found.value, metric.unit, with_unit=False) + _spread(found)
    if entry.verdict is None or entry.relative is None or is_baseline:
        return text
    return f"{text} {_beside(entry.relative, entry.verdict)}"


def _spread(found: Median) -> str:
    if found.count < 2 or found.spread is None:
        return ""
    return f" ±{100 * found.spread:.2g}%" if found.spread < 0.995 else f" ±{found.spread:.0%}"


def _beside(relative: float, verdict: Verdict) -> str:
    if verdict is Verdict.NO_DIFFERENCE:
        return "(=)"
    mark = "?" if verdict is Verdict.UNDECIDED else ""
    return f"({change(1.0, relative)}{mark})"


def heading(metric: Metric) -> str:
    """`TTFT p95 ms ↓`: the arrow says which way is better."""
    arrows = {True: " ↑", False: " ↓", None: ""}
    unit = metric.unit.value
    shown = "" if metric.unit in (Unit.BYTES, Unit.FRACTION, Unit.FACTOR, Unit.COUNT) else unit
    label = metric.label if shown in metric.label else f"{metric.label} {shown}"
    return f"{label}{arrows[metric.higher_is_better]}"


def state(row: Row) -> str:
    """How often a row was measured, or why it was not."""
    parts = []
    if row.repeats or not (row.skipped or row.failure):
        parts.append(f"{row.repeats}×")
    if row.skipped is not None:
        parts.append(f"skipped: {row.skipped}")
    if row.failure is not None:
        parts.append(f"FAILED: {row.failure}")
    if row.failed_requests:
        parts.append(f"{row.failed_requests} requests FAILED")
    return ", ".join(parts)


def markdown(found: Matrix) -> str:
    """A Markdown table, a row each cell."""
    headings = ["cell", *(heading(METRICS[name]) for name in found.metrics), "repeats"]
    lines = [markdown_row(headings), markdown_row(["---", *["---:"] * len(found.metrics), "---"])]
    for row in found.rows:
        is_baseline = row.label == found.baseline
        texts = [entry_text(entry, is_baseline=is_baseline) for entry in row.entries]
        name = f"{row.label} (baseline)" if is_baseline else row.label
        lines.append(markdown_row([name, *texts, state(row)]))
    return "\n".join(lines) + "\n"


def markdown_row(texts: Sequence[str]) -> str:
    """One line of a Markdown table."""
    return f"| {' | '.join(map(markdown_text, texts))} |"


def markdown_text(text: str) -> str:
    """Text that Markdown shows as it is, in a table too."""
    return text.translate(_MARKDOWN)


def csv_text(found: Matrix) -> str:
    """A line for each cell and metric, with all digits; empty fields for what was not measured."""
    output = io.StringIO()
    writer = csv.writer(output, lineterminator="\n")
    cell_fields = ["strategy", "precision", "load", "max_seqs", "drafts"]
    median_fields = ["median", "low", "high", "confidence", "repeats"]
    writer.writerow(
        [*cell_fields, "metric", "unit", *median_fields, "relative_to_baseline", "verdict", "state"]
    )
    for row in found.rows:
        for entry in row.entries:
            metric = METRICS[entry.metric]
            writer.writerow(
                [
                    *_cell_values(row.cell),
                    entry.metric,
                    metric.unit.value,
                    *_median_values(entry.median),
                    _plain(entry.relative),
                    "" if entry.verdict is None else entry.verdict.value,
                    state(row),
                ]
            )
    return output.getvalue()


def _cell_values(cell: Cell) -> list[str]:
    settings = [_plain(cell.max_seqs), _plain(cell.drafts)]
    return [str(cell.strategy), str(cell.precision), load_label(cell.load), *settings]


def _median_values(found: Median | None) -> list[str]:
    if found is None:
        return [""] * 5
    return [
        *(repr(value) for value in (found.value, found.low, found.high, found.confidence)),
        str(found.count),
    ]


def _plain(value: float | None) -> str:
    return "" if value is None else repr(value)


def curve_words(curve: Curve) -> str:
    """The knee and what the limits allow, of one curve."""
    parts = [] if curve.knee is None else [curve.knee.explanation]
    if curve.at_limits is not None:
        parts.append(f"within the limits {describe_at_limits(curve.at_limits)}")
    told = "; ".join(parts) or "too few loads for a knee: three are needed"
    return f"{curve.label}: {told}"


def curve_headings(curve: Curve) -> list[str]:
    """The columns of `curve_rows`."""
    latency = METRICS[curve.latency]
    return ["load", "req/s", "tok/s", f"{latency.label} ms", "goodput", "L", "λ·W", "knee"]


def curve_rows(curve: Curve) -> list[list[str]]:
    """A row of text for each load; Little's law measured from both sides."""

    def text(found: Median | None, unit: Unit) -> str:
        return figure(None if found is None else found.value, unit, with_unit=False)

    knee = curve.knee
    return [
        [
            point.label,
            text(point.req_s, Unit.REQUESTS_PER_S),
            text(point.output_tok_s, Unit.TOKENS_PER_S),
            text(point.latency_ms, Unit.MS),
            text(point.goodput_req_s, Unit.REQUESTS_PER_S),
            text(point.in_system, Unit.COUNT),
            text(point.rate_times_residence, Unit.COUNT),
            "knee" if knee is not None and knee.first <= index <= knee.last else "",
        ]
        for index, point in enumerate(curve.points)
    ]
