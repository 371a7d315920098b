"""A comparison as one JSON object: every metric of every cell, and all that follows from them."""

import msgspec

from .html_report import Report
from .matrix import Row, matrix
from .metrics import METRICS, Metric
from .samples import NO_LIMITS, Limits

SCHEMA_VERSION = 1


def json_report(
    report: Report, *, limits: Limits = NO_LIMITS, stopped: str | None = None
) -> dict[str, object]:
    """The object. `stopped`: why measuring ended before all cells were measured."""
    baseline = next(
        (row.cell for row in report.matrix.rows if row.label == report.matrix.baseline), None
    )
    every = matrix(report.comparison, list(METRICS.values()), limits=limits, baseline=baseline)
    rows = {row.label: row for row in every.rows}
    return {
        "schema_version": SCHEMA_VERSION,
        "work": msgspec.to_builtins(report.comparison.work),
        "stopped": stopped,
        "baseline": report.matrix.baseline,
        "metrics": {name: _described(metric) for name, metric in METRICS.items()},
        # Sorted and filtered as asked for.
        "cells": [_row(rows[row.label]) for row in report.matrix.rows],
        "insights": msgspec.to_builtins(report.insights),
        "curves": msgspec.to_builtins(report.curves),
        "recommendation": msgspec.to_builtins(report.recommendation),
        "against": msgspec.to_builtins(report.judgements),
    }


def _described(metric: Metric) -> dict[str, object]:
    return {
        "label": metric.label,
        "unit": metric.unit.value,
        "higher_is_better": metric.higher_is_better,
    }


def _row(row: Row) -> dict[str, object]:
    return {
        "cell": row.label,
        "settings": msgspec.to_builtins(row.cell),
        "repeats": row.repeats,
        "failed_requests": row.failed_requests,
        "skipped": row.skipped,
        "failure": row.failure,
        "metrics": {
            entry.metric: None
            if entry.median is None
            else {
                **msgspec.structs.asdict(entry.median),
                "relative": entry.relative,
                "verdict": None if entry.verdict is None else entry.verdict.value,
            }
            for entry in row.entries
        },
    }
