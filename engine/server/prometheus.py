"""The answer to `GET /metrics`: Prometheus' text format 0.0.4, or OpenMetrics 1.0 for who asks."""

from collections.abc import Iterator, Sequence
from typing import Final

from ..cost.rates import Rates
from ..metrics.export_buckets import cumulative
from ..protocol.served import EngineMetrics, ExportedHistogram
from .exposed import FAMILY_LABELS, Exposed, Scraped, family_values
from .guarding import Guarding
from .http_counters import HttpCounters
from .metric_table import METRICS

TEXT: Final = "text/plain"
OPEN_METRICS: Final = "application/openmetrics-text"
CONTENT_TYPES: Final = {
    TEXT: f"{TEXT}; version=0.0.4; charset=utf-8",
    OPEN_METRICS: f"{OPEN_METRICS}; version=1.0.0; charset=utf-8",
}


def metrics_response(
    engine: EngineMetrics | None,
    http: HttpCounters,
    accept: str | None,
    guarding: Guarding | None = None,
    rates: Rates | None = None,
) -> tuple[bytes, str]:
    """The body and its content type, for the header `Accept`.

    `engine` is `None` before there was a worker: then the server's own metrics are told alone.
    """
    kind = _preferred(accept)
    lines = exposition(Scraped(engine, http, guarding, rates), open_metrics=kind == OPEN_METRICS)
    return "".join(f"{line}\n" for line in lines).encode(), CONTENT_TYPES[kind]


def exposition(scraped: Scraped, *, open_metrics: bool = False) -> Iterator[str]:
    """The lines, without their ends. A metric without a value is left out."""
    for metric in METRICS:
        samples = _samples(metric, scraped)
        if not samples:
            continue
        name = _open_metrics_name(metric) if open_metrics else metric.name
        # The older format knows no type for it.
        kind = "gauge" if metric.kind == "info" and not open_metrics else metric.kind
        yield f"# HELP {name} {_escaped(metric.meaning)}."
        yield f"# TYPE {name} {kind}"
        yield from samples
    if open_metrics:
        yield "# EOF"


def _samples(metric: Exposed, scraped: Scraped) -> list[str]:
    family, engine = metric.family, scraped.engine
    shared = () if family is None else FAMILY_LABELS[family]
    values = family_values(family, engine)
    if metric.histogram is not None:
        held = None if engine is None else engine.histograms.get(metric.histogram)
        return [] if held is None else _buckets(metric, _pairs(shared, values), held)
    names = (*shared, *metric.labels)
    if metric.distributions is not None:
        return [
            line
            for own, held in metric.distributions(scraped).items()
            for line in _bucket_lines(
                metric.name,
                _pairs(names, (*values, *own)),
                list(zip(metric.bounds_s, held.cumulative(metric.bounds_s), strict=True)),
                held.count,
                held.total_s,
            )
        ]
    return [
        f"{metric.name}{_braced(_pairs(names, (*values, *own)))} {_number(value)}"
        for own, value in metric.read(scraped).items()
    ]


def _buckets(metric: Exposed, labels: str, held: ExportedHistogram) -> list[str]:
    """The lines of a histogram: its buckets, each with all below it, their number and sum."""
    assert metric.histogram is not None
    assert metric.family is not None
    below = cumulative(metric.histogram, metric.family, held.counts)
    return _bucket_lines(metric.name, labels, below, sum(held.counts), held.total)


def _bucket_lines(
    name: str, labels: str, below: Sequence[tuple[float, int]], count: int, total: float
) -> list[str]:
    before, braced = f"{labels}," if labels else "", _braced(labels)
    return [
        *(f'{name}_bucket{{{before}le="{_bound(bound)}"}} {number}' for bound, number in below),
        f'{name}_bucket{{{before}le="+Inf"}} {count}',
        f"{name}_count{braced} {count}",
        f"{name}_sum{braced} {_number(total)}",
    ]


def _open_metrics_name(metric: Exposed) -> str:
    """There a counter's name is without its `_total`, and that of an info without its `_info`."""
    suffix = {"counter": "_total", "info": "_info"}.get(metric.kind, "")
    return metric.name.removesuffix(suffix)


def _pairs(names: Sequence[str], values: Sequence[str]) -> str:
    return ",".join(
        f'{name}="{_escaped(value, quoted=True)}"'
        for name, value in zip(names, values, strict=True)
    )


def _braced(labels: str) -> str:
    return f"{{{labels}}}" if labels else ""


def _escaped(text: str, *, quoted: bool = False) -> str:
    escaped = text.replace("\\", r"\\").replace("\n", r"\n")
    return escaped.replace('"', r"\"") if quoted else escaped


def _number(value: float) -> str:
    return repr(float(value)) if value % 1 else str(int(value))


def _bound(bound: float) -> str:
    """A bucket's bound as Go's clients write it, so that series of several servers match."""
    text = repr(bound)
    digits = text.removesuffix(".0")
    if not text.endswith(".0") or len(digits) <= 6:
        return text
    mantissa = digits.rstrip("0")
    fraction = f".{mantissa[1:]}" if mantissa[1:] else ""
    return f"{mantissa[0]}{fraction}e+{len(digits) - 1:02}"


def _preferred(accept: str | None) -> str:
    """What the header `Accept` asks for; the plain text format where it does not matter."""
    weights = {TEXT: 0.0, OPEN_METRICS: 0.0}
    for part in (accept or "").lower().split(","):
        kind, *parameters = (each.strip() for each in part.split(";"))
        if kind in weights:
            weights[kind] = max(weights[kind], _weight(parameters))
    return OPEN_METRICS if weights[OPEN_METRICS] > weights[TEXT] else TEXT


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0
