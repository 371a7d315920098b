"""What a recorded trace tells of how its requests went: the figures of a bench cell, measured then.

Percentiles come from the same histograms as a cell's, so that a ratio of both compares like with
like.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..protocol import Distribution
from ..traces.rows import Row
from .histogram import LogHistogram
from .latency import distribution, percentiles


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedFigures:
    """Figures of the requests whose line says how they went, `measured` of `requests`.

    `failed`: those of them that did; `None` where no line says. `duration_s`: from the first
    arrival to the last end. Latencies and rates are of requests that ended well, as in a bench
    cell; `None`: no line tells. `prefix_hit_rate`: cached prompt tokens ÷ prompt tokens of those
    whose answer told of them.
    """

    requests: int
    measured: int
    failed: int | None
    duration_s: float | None
    output_tok_s: float | None
    ttft_ms: Distribution | None
    tpot_ms: Distribution | None
    e2e_ms: Distribution | None
    prefix_hit_rate: float | None


def played_part(rows: Iterable[Row], start_s: float, most: int | None) -> list[Row]:
    """The rows of the part of a trace that is played (`Trace.part`), in order of arrival.

    Those that failed without a token are not played; they belong to the part all the same where
    they came before its last request.
    """
    ordered = sorted(rows, key=lambda row: row.at_s)
    zero_s = next((row.at_s for row in ordered if _playable(row)), 0.0)
    part: list[Row] = []
    played = 0
    for row in ordered:
        if start_s > 0 and row.at_s - zero_s < start_s:
            continue
        if most is not None and played >= most:
            break
        part.append(row)
        played += _playable(row)
    return part


def recorded_figures(rows: Sequence[Row]) -> RecordedFigures | None:
    """The figures of `rows`; `None` where no line tells how its request went."""
    measured = [(row, row.measured) for row in rows if row.measured is not None]
    if not measured:
        return None
    well = [(row, told) for row, told in measured if told.ok is not False]
    ends_s = [row.at_s + told.e2e_ms / 1e3 for row, told in measured if told.e2e_ms is not None]
    first_s = min(row.at_s for row, _ in measured)
    duration_s = max(ends_s) - first_s if ends_s else None
    tokens = sum(row.output_tokens for row, _ in well)
    return RecordedFigures(
        requests=len(rows),
        measured=len(measured),
        failed=None
        if all(told.ok is None for _, told in measured)
        else sum(told.ok is False for _, told in measured),
        duration_s=duration_s,
        output_tok_s=tokens / duration_s if duration_s else None,
        ttft_ms=_distribution(told.ttft_ms for _, told in well),
        tpot_ms=_distribution(told.tpot_ms for _, told in well),
        e2e_ms=_distribution(told.e2e_ms for _, told in well),
        prefix_hit_rate=_hit_rate(well_row for well_row, _ in well),
    )


def _playable(row: Row) -> bool:
    return bool(row.prompt_tokens and row.output_tokens)


def _distribution(latencies_ms: Iterable[float | None]) -> Distribution | None:
    histogram = LogHistogram()
    for latency_ms in latencies_ms:
        if latency_ms is not None:
            histogram.add(latency_ms / 1e3)
    return distribution(percentiles(histogram))


def _hit_rate(rows: Iterable[Row]) -> float | None:
    cached = prompt = 0
    for row in rows:
        if row.measured is not None and row.measured.cached_tokens is not None:
            cached += row.measured.cached_tokens
            prompt += row.prompt_tokens
    return cached / prompt if prompt else None
