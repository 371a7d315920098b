"""The manual's table of exported metrics, made from the program's: `python -m tools.metrics_table`.

It stands in `docs/metrics.md` between two marks, and a test asks for it where it is an older one.
"""

from pathlib import Path

from prodtop.engine.metrics.export_buckets import BOUNDS
from prodtop.engine.server.exposed import FAMILY_LABELS, Exposed
from prodtop.engine.server.metric_table import METRICS

MANUAL = Path(__file__).parents[1] / "docs" / "metrics.md"
BEGIN = "<!-- made by python -m tools.metrics_table -->\n"
END = "<!-- to here -->\n"


def table() -> str:
    """All metrics by family, as Markdown, then the labels that those of a family share."""
    rows = "".join(_row(metric) for metric in METRICS)
    shared = "".join(
        f"- `{family}`: {', '.join(f'`{label}`' for label in labels) or 'none'}\n"
        for family, labels in FAMILY_LABELS.items()
    )
    return (
        "| name | type | labels of its own | meaning |\n|---|---|---|---|\n"
        f"{rows}\nLabels that all metrics of a family have:\n\n{shared}"
    )


def renewed(page: str) -> str:
    """The manual's text with the table as it is now. Raises ValueError where a mark is missing."""
    head, begin, rest = page.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not (begin and end):
        raise ValueError("the marks of the table are missing")
    return f"{head}{begin}\n{table()}\n{end}{tail}"


def _row(metric: Exposed) -> str:
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    return f"| `{metric.name}` | {metric.kind} | {labels} | {metric.meaning}{_span(metric)} |\n"


def _span(metric: Exposed) -> str:
    """How many buckets a histogram has, and from where to where."""
    if metric.histogram is None or metric.family is None:
        return ""
    bounds = BOUNDS[metric.histogram][metric.family]
    return f"; {len(bounds)} buckets, {bounds[0]:g} … {bounds[-1]:g}"


if __name__ == "__main__":
    MANUAL.write_text(renewed(MANUAL.read_text(encoding="utf-8")), encoding="utf-8")
