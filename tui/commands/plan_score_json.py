"""What `prodtop plan score --json` prints: one object."""

import msgspec

from ...engine.planner.scoring.scoring import Metric, Report, Scored

SCHEMA_VERSION = 1
METRICS: tuple[Metric, ...] = ("time", "memory")

Object = dict[str, object]


def as_object(report: Report) -> Object:
    """Summaries per metric, overall and per source, then every row, scored or not."""
    return {
        "schema_version": SCHEMA_VERSION,
        **{metric: _metric(report, metric) for metric in METRICS},
        "rows": [_row(one) for one in report.scored],
        "skipped": [msgspec.to_builtins(one) for one in report.skipped],
    }


def _metric(report: Report, metric: Metric) -> Object:
    summaries = {source: report.summary(metric, source) for source in report.sources(metric)}
    return {
        "overall": msgspec.to_builtins(report.summary(metric)),
        "sources": {source: msgspec.to_builtins(one) for source, one in summaries.items()},
    }


def _row(one: Scored) -> Object:
    return {
        **msgspec.to_builtins(one),
        "error": one.error,
        "baseline_error": one.baseline_error,
    }
