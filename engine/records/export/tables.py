"""A recording as comma-separated values: its requests, or the columns that charts draw."""

import csv
import io
from collections.abc import Iterator, Sequence

from ..columns import COLUMNS
from ..recording.reader import Recording
from .session import ended_requests, points

REQUEST_FIELDS = (
    "request_id", "strategy", "precision", "prompt_tokens", "cached_prompt_tokens",
    "output_tokens", "e2e_ms", "ttfb_ms", "queue_ms", "ttft_ms", "tpot_ms", "preemptions",
    "from_response_cache", "failed",
)  # fmt: skip


def request_rows(recording: Recording) -> Iterator[str]:
    """A row for each request that ended; `arrival_s` since the recording began."""
    yield _row(["arrival_s", *REQUEST_FIELDS, "finish_reason"])
    for ended in ended_requests(recording):
        known = [getattr(ended.request, name) for name in REQUEST_FIELDS]
        yield _row([round(ended.began_s, 6), *known, ended.reason])


def series_rows(recording: Recording) -> Iterator[str]:
    """A row for each poll; empty where a figure was not measured."""
    yield _row(["wall_s", *COLUMNS])
    for point in points(recording):
        yield _row([round(point.wall_s, 6), *(point.columns.get(name) for name in COLUMNS)])


def _row(values: Sequence[object]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(["" if v is None else v for v in values])
    return text.getvalue()
