"""A diff as one HTML file: it needs no network, no script and no other file."""

from ...compare.charts import escaped, ticks
from ...compare.html_report import page, section
from ...compare.wording import digits
from ...protocol import LATENCY_EDGES_MS
from .diff import Diff, Histogram, Verdict
from .wording import HEADINGS, HOW, occupied, ordered, row, setting_rows, shares, summary

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 640, 200, 48, 30, 24

_STYLE = """
.old { fill: #c8743a; fill-opacity: .45; stroke: #c8743a } td.better { color: #2f8f4e }
.new { fill: #4a7fb5; fill-opacity: .45; stroke: #4a7fb5 } td.worse { color: var(--bad) }
td.left, th.left { text-align: left }
"""


def html_diff(diff: Diff) -> str:
    """The whole file. It is well-formed XML as well."""
    title = f"prodtop diff: {diff.old} → {diff.new}"
    heading = (
        f"<h1>{escaped(diff.old)} → {escaped(diff.new)}</h1>"
        f'<p>{escaped(summary(diff))}.</p><p class="dim">{escaped(HOW)}</p>'
    )
    settings = _table(("setting", "before", "after"), [(*each, "") for each in setting_rows(diff)])
    changes = _table(HEADINGS, [(*row(each), each.verdict) for each in ordered(diff.changes)])
    rules = "".join(
        f"<li{' class=' + chr(34) + 'bad' + chr(34) if each.failed else ''}>"
        f"{escaped(each.rule)}: {escaped(each.text)}</li>"
        for each in diff.rules
    )
    charts = "".join(_chart(each) for each in diff.histograms)
    return page(
        title,
        [
            heading,
            section("Rules", f"<ul>{rules}</ul>") if rules else "",
            section("Settings that differ", settings if diff.settings else "<p>None.</p>"),
            section("Metrics", changes),
            section("Latencies over each other", charts) if charts else "",
        ],
        _STYLE,
    )


def _table(headings: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """Rows of cells; the last of each is the class of its last cell."""
    head = "".join(f"<th>{escaped(text)}</th>" for text in headings)
    body = ""
    for *texts, kind in rows:
        known = kind if kind in (Verdict.BETTER, Verdict.WORSE) else ""
        cells = "".join(f"<td>{escaped(text)}</td>" for text in texts[:-1])
        body += f'<tr>{cells}<td class="left {known}">{escaped(texts[-1])}</td></tr>'
    return f'<div class="wide"><table><tr>{head}</tr>{body}</table></div>'


def _chart(found: Histogram) -> str:
    """Both histograms as steps over one axis: the share of the requests in each step."""
    steps = occupied(found)
    sides = {"old": shares(found.old), "new": shares(found.new)}
    most = max(max(each) for each in sides.values())
    wide = (WIDTH - LEFT - 8) / len(steps)
    bottom = HEIGHT - BOTTOM

    def y(share: float) -> float:
        return bottom - (bottom - TOP) * share / most

    label = escaped(f"{found.latency.upper()} of both sides")
    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">']
    for name, share in sides.items():
        path = "".join(
            f" V{y(share[place]):.1f} H{LEFT + (at + 1) * wide:.1f}"
            for at, place in enumerate(steps)
        )
        requests = sum(found.old if name == "old" else found.new)
        words = f"{'before' if name == 'old' else 'after'}: {requests:,} requests"
        parts.append(
            f'<path class="{name}" d="M{LEFT},{bottom}{path} V{bottom} Z">'
            f"<title>{escaped(words)}</title></path>"
        )
    parts.append(f'<path class="axis" d="M{LEFT},{TOP} V{bottom} H{WIDTH - 8}"/>')
    parts += (
        _text(LEFT - 6, y(share / 100) + 4, f"{digits(share)} %", "end")
        for share in ticks(0.0, most * 100)
    )
    every = max(1, len(steps) // 6)
    for at, place in list(enumerate(steps))[::every]:
        if place < len(LATENCY_EDGES_MS):
            edge = f"{digits(LATENCY_EDGES_MS[place])} ms"
            parts.append(_text(LEFT + (at + 1) * wide, bottom + 16, edge, "middle"))
    parts.append(
        _text(LEFT, 14, f"{found.latency.upper()}: before (orange), after (blue)", "start")
    )
    return "".join([*parts, "</svg>"])


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escaped(text)}</text>'
