"""Every metric that `/metrics` tells: the exposition and the manual's table are made from this."""

from collections import Counter
from importlib.metadata import version
from typing import Final

from .cost_rows import COST_ROWS
from .engine_metric_rows import PRODTOP_ENGINE_ROWS, VLLM_ENGINE_ROWS
from .exposed import Exposed, Scraped, Values
from .guard_metric_rows import GUARD_ROWS


def _answered(scraped: Scraped) -> Values:
    counts = scraped.http.answered
    return {(each.route, each.method, str(each.status)): count for each, count in counts.items()}


def _answered_by_class(scraped: Scraped) -> Values:
    grouped: Counter[tuple[str, ...]] = Counter()
    for each, count in scraped.http.answered.items():
        grouped[each.route, f"{each.status // 100}xx", each.method] += count
    return grouped


def _rejected(scraped: Scraped) -> Values:
    return {(reason,): count for reason, count in scraped.http.rejected.items()}


def _engine_up(scraped: Scraped) -> Values:
    return {(): scraped.engine is not None and bool(scraped.engine.gauges)}


def _engine_start(scraped: Scraped) -> Values:
    return {} if scraped.engine is None else {(): scraped.engine.started_at_wall_s}


def _engine_info(scraped: Scraped) -> Values:
    engine = scraped.engine
    if engine is None:
        return {}
    return {(engine.model, engine.strategy, engine.precision, version("prodtop")): 1}


_SERVER_ROWS: Final = (
    Exposed(
        "process_start_time_seconds",
        "gauge",
        "Start of the server's process, in seconds since 1970",
        read=lambda scraped: {(): scraped.http.started_at_wall_s},
    ),
    Exposed(
        "http_requests_total",
        "counter",
        "HTTP requests answered, by route and class of status (vLLM's name)",
        ("handler", "status", "method"),
        _answered_by_class,
    ),
    Exposed(
        "vllm:admission_rejections_total",
        "counter",
        "Requests answered by 429 or 503 because there was no room, by reason",
        ("reason",),
        _rejected,
    ),
    Exposed(
        "prodtop_http_requests_total",
        "counter",
        "HTTP requests answered, by route and status",
        ("route", "method", "status"),
        _answered,
    ),
    Exposed(
        "prodtop_http_rejected_requests_total",
        "counter",
        "Requests answered by 429 or 503 because there was no room, by reason",
        ("reason",),
        _rejected,
    ),
    Exposed(
        "prodtop_http_open_streams",
        "gauge",
        "Streamed answers that have begun and not ended",
        read=lambda scraped: {(): scraped.http.open_streams},
    ),
    Exposed(
        "prodtop_http_client_aborts_total",
        "counter",
        "Requests whose client went away before the answer was complete",
        read=lambda scraped: {(): scraped.http.client_aborts},
    ),
    *GUARD_ROWS,
    Exposed(
        "prodtop_engine_up",
        "gauge",
        "1 while a worker serves, else 0",
        read=_engine_up,
    ),
    Exposed(
        "prodtop_engine_start_time_seconds",
        "gauge",
        "Since when the engine's counters count, in seconds since 1970",
        read=_engine_start,
    ),
    Exposed(
        "prodtop_engine_info",
        "info",
        "What is served now, and how",
        ("model_name", "strategy", "precision", "version"),
        _engine_info,
    ),
)

METRICS: Final[tuple[Exposed, ...]] = (
    *_SERVER_ROWS,
    *VLLM_ENGINE_ROWS,
    *PRODTOP_ENGINE_ROWS,
    *COST_ROWS,
)
"""In the order in which they are told; all lines of one name stand together."""
