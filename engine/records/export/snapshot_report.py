"""A snapshot as a report: figures, settings, what was measured, events; and its curves as CSV."""

import csv
import io
from collections.abc import Sequence
from datetime import UTC, datetime

from ...compare.charts import escaped
from ...compare.html_report import page, section
from ...compare.matrix import matrix
from ...compare.metrics import METRICS
from ...compare.tables import markdown, markdown_text
from ...compare.wording import MISSING, Unit, digits, figure
from ..columns import COLUMNS
from ..diff.side import settings_of
from ..snapshot import Point, Snapshot

Rows = list[tuple[str, ...]]

_CURVES = (
    ("decode_tok_s", "decode tok/s"),
    ("requests_per_s", "requests/s"),
    ("ttft_p95_ms", "TTFT p95 (ms, 10 s)"),
    ("in_system", "in system"),
    ("kv_used", "KV in use"),
)
_SHOWN_METRICS = ("output_tok_s", "ttft_p95_ms", "e2e_p95_ms", "memory_bytes")
_WIDTH, _HEIGHT = 640, 90


def figure_rows(snapshot: Snapshot) -> Rows:
    """The figures of the moment: name and value."""
    frame, averages = snapshot.frame, snapshot.frame.averages.get(snapshot.settings.window)
    mbu = frame.roofline.mbu if averages is None else averages.mbu
    mfu = frame.roofline.mfu if averages is None else averages.mfu
    done, memory = frame.accounting, frame.memory
    counts = ("finished", "failed", "rejected")
    parts = ("used_bytes", "weights_bytes", "kv_bytes")
    used, weights, kv = [None if memory is None else getattr(memory, part) for part in parts]
    return [
        ("decode", figure(frame.throughput.decode_tok_s, Unit.TOKENS_PER_S)),
        ("prefill", figure(frame.throughput.prefill_tok_s, Unit.TOKENS_PER_S)),
        ("from caches", figure(frame.throughput.cached_tok_s, Unit.TOKENS_PER_S)),
        ("requests", figure(frame.throughput.requests_per_s, Unit.REQUESTS_PER_S)),
        ("running, waiting", _joined(frame.queue.running, frame.queue.waiting)),
        (
            "finished, failed, rejected",
            _joined(*(None if done is None else getattr(done, each) for each in counts)),
        ),
        ("memory", figure(used, Unit.BYTES)),
        ("weights", figure(weights, Unit.BYTES)),
        ("KV cache", figure(kv, Unit.BYTES)),
        ("MBU", figure(mbu, Unit.FRACTION)),
        ("MFU", figure(mfu, Unit.FRACTION)),
    ]


def _joined(*numbers: int | None) -> str:
    return ", ".join(MISSING if number is None else f"{number:,}" for number in numbers)


def latency_rows(snapshot: Snapshot) -> Rows:
    """The latencies over the window, in ms: p50, p95, p99, mean and the samples of each."""
    latency = snapshot.frame.latency.get(snapshot.settings.window)
    rows: Rows = []
    for name in ("ttft", "ttfb", "tpot", "itl", "e2e", "queue"):
        part = None if latency is None else getattr(latency, name)
        known = [MISSING] * 4 + ["0"]
        if part is not None:
            values = (part.p50_ms, part.p95_ms, part.p99_ms, part.mean_ms)
            known = [*map(digits, values), f"{part.count:,}"]
        rows.append((name.upper(), *known))
    return rows


LATENCY_HEADINGS = ("ms", "p50", "p95", "p99", "mean", "samples")
QUALITY_HEADINGS = ("precision", "weights", "perplexity", "against the reference")


def quality_rows(snapshot: Snapshot) -> Rows:
    """The levels of quality that were measured."""
    levels = [] if snapshot.quality is None else snapshot.quality.levels
    return [
        (
            str(level.precision),
            figure(level.weights_bytes, Unit.BYTES),
            digits(level.perplexity.value) if level.perplexity is not None else MISSING,
            MISSING if level.ratio is None else f"×{digits(level.ratio.value)}",
        )
        for level in levels
    ]


def plan_rows(snapshot: Snapshot) -> Rows:
    """The plan that stood there: its question and its estimates."""
    plan = snapshot.plan
    if plan is None:
        return []
    return [
        ("layout", plan.layout),
        ("fits", "yes" if plan.fits else "no"),
        ("memory of a GPU", figure(plan.memory_bytes, Unit.BYTES)),
        ("step", figure(plan.step_s, Unit.S)),
        ("throughput", figure(plan.tokens_s, Unit.TOKENS_PER_S)),
        ("MFU", figure(plan.mfu, Unit.FRACTION)),
        *plan.texts.items(),
    ]


def fact_rows(snapshot: Snapshot) -> Rows:
    """When it was saved, what was set, and the versions."""
    saved = datetime.fromtimestamp(snapshot.saved_wall_s, UTC).isoformat(timespec="seconds")
    return [
        ("name", snapshot.label or MISSING),
        ("saved", saved),
        ("window", str(snapshot.settings.window)),
        *settings_of(snapshot.frame).items(),
        *((f"version of {name}", text) for name, text in snapshot.versions.items()),
    ]


def csv_text(snapshot: Snapshot) -> str:
    """The curves: a row for each time, empty where a figure was not measured."""
    curves = {name: dict(snapshot.series.get(name, ())) for name in COLUMNS}
    output = io.StringIO()
    writer = csv.writer(output, lineterminator="\n")
    writer.writerow(["wall_s", *COLUMNS])
    for time_s in sorted({time_s for curve in curves.values() for time_s in curve}):
        values = (curves[name].get(time_s) for name in COLUMNS)
        writer.writerow([time_s, *("" if value is None else value for value in values)])
    return output.getvalue()


def _titled(snapshot: Snapshot) -> list[tuple[str, tuple[str, ...], Rows]]:
    """The tables of a report: title, headings, rows."""
    return [
        ("Figures", ("figure", "value"), figure_rows(snapshot)),
        (f"Latency over {snapshot.settings.window}", LATENCY_HEADINGS, latency_rows(snapshot)),
        ("Quality", QUALITY_HEADINGS, quality_rows(snapshot)),
        ("Plan (estimates)", ("field", "value"), plan_rows(snapshot)),
        ("Settings", ("setting", "value"), fact_rows(snapshot)),
    ]


def markdown_report(name: str, snapshot: Snapshot) -> str:
    """The report as Markdown."""
    frame = snapshot.frame
    parts = [f"# {markdown_text(name)}: {markdown_text(frame.model.name)}\n"]
    for title, headings, rows in _titled(snapshot):
        if rows:
            table = [headings, ("---",) * len(headings), *rows]
            lines = (f"| {' | '.join(map(_cell, row))} |" for row in table)
            parts.append(f"## {title}\n\n" + "\n".join(lines) + "\n")
    if snapshot.comparison is not None:
        shown = [METRICS[each] for each in _SHOWN_METRICS]
        parts.append("## Comparison\n\n" + markdown(matrix(snapshot.comparison, shown)))
    if snapshot.events:
        lines = (f"- {markdown_text(text)}" for text in snapshot.events)
        parts.append("## Events\n\n" + "\n".join(lines) + "\n")
    return "\n".join(parts)


def _cell(text: str) -> str:
    return text if text == "---" else markdown_text(text)


def html_report(name: str, snapshot: Snapshot, picture: str) -> str:
    """The report as one file. `picture` is an `<svg>` that loads nothing, or empty."""
    frame = snapshot.frame
    label = f"{snapshot.label}: " if snapshot.label else ""
    title = f"{label}{frame.model.name} on {frame.device_name or frame.device}"
    tables = [section(head, _table(names, rows)) for head, names, rows in _titled(snapshot) if rows]
    events = "".join(f"<li>{escaped(text)}</li>" for text in snapshot.events)
    cells = ""
    if snapshot.comparison is not None:
        found = matrix(snapshot.comparison, [METRICS[each] for each in _SHOWN_METRICS])
        cells = section("Comparison", f"<pre>{escaped_lines(markdown(found))}</pre>")
    return page(
        f"prodtop snapshot {name}",
        [
            f'<h1>{escaped(title)}</h1><p class="dim">{escaped(name)}</p>',
            section("The screen", f'<div class="screen">{picture}</div>') if picture else "",
            section("Curves", "".join(_curve(label, snapshot, at) for at, label in _CURVES)),
            *tables,
            cells,
            section("Events", f"<ul>{events}</ul>") if events else "",
        ],
        "div.screen svg { max-width: 100% }\n",
    )


def escaped_lines(text: str) -> str:
    """As `escaped`, line by line."""
    return "\n".join(map(escaped, text.splitlines()))


def _table(headings: Sequence[str], rows: Rows) -> str:
    head = "".join(f"<th>{escaped(text)}</th>" for text in headings)
    body = "".join(
        "<tr>" + "".join(f"<td>{escaped(text)}</td>" for text in row) + "</tr>" for row in rows
    )
    return f'<div class="wide"><table><tr>{head}</tr>{body}</table></div>'


def _curve(label: str, snapshot: Snapshot, column: str) -> str:
    """A curve over the window from 0, with its greatest value; nothing where it has no points."""
    points: Sequence[Point] = snapshot.series.get(column, [])
    if len(points) < 2:
        return ""
    first_s, last_s = points[0][0], points[-1][0]
    most = max(value for _, value in points)
    if last_s <= first_s or most <= 0:
        return ""
    places = " ".join(
        f"{(at - first_s) / (last_s - first_s) * _WIDTH:.1f},"
        f"{_HEIGHT - 4 - max(value, 0.0) / most * (_HEIGHT - 26):.1f}"
        for at, value in points
    )
    words = escaped(f"{label}, at most {digits(most)}")
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{words}">'
        f'<text x="0" y="14">{words}</text>'
        f'<polyline class="line c0" points="{places}"/></svg>'
    )
