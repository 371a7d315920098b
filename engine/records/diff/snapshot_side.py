"""What a snapshot has to compare: the stretch of its charts, and the requests that it remembers."""

from itertools import pairwise

import msgspec

from ...protocol import RequestState, Window
from ...protocol.frame import WINDOW_SECONDS
from ..snapshot import Snapshot
from .metrics import SERIES
from .side import Ended, Pairs, Side, counted_of, request_samples, settings_of

EVERY_S = 1.0
"""Readings of rates are over a second: those that are closer tell the same second again."""


class _Row(msgspec.Struct, frozen=True):
    """The fields of a request's row that are compared."""

    state: RequestState
    arrival_s: float
    e2e_ms: float
    queue_ms: float | None = None
    ttft_ms: float | None = None
    tpot_ms: float | None = None


class _Requests(msgspec.Struct, frozen=True):
    rows: list[_Row] = []


class _Screen(msgspec.Struct, frozen=True):
    """What is read of `Snapshot.screen`."""

    wall_s: float
    requests: _Requests = _Requests()


def snapshot_side(name: str, snapshot: Snapshot) -> Side:
    """A snapshot as a side: its window, which ends when it was saved."""
    frame = snapshot.frame
    windows = {"window": str(snapshot.settings.window)}
    versions = {f"version {key}": text for key, text in snapshot.versions.items()}
    settings = {**settings_of(frame), **windows, **versions}
    times = [time_s for points in snapshot.series.values() for time_s, _ in points]
    return Side(
        name=name,
        kind="snapshot",
        span_s=max(times) - min(times) if times else None,
        settings={key: [text] for key, text in settings.items()},
        series={
            key: [value for _, value in spaced(points)]
            for key, points in snapshot.series.items()
            if key in SERIES
        },
        requests=request_samples(_ended(snapshot)),
        counted=counted_of(frame),
        energy=energy_growth(
            snapshot.series.get("energy_j", []), snapshot.series.get("generated_tokens", [])
        ),
    )


def spaced(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Points no closer than `EVERY_S`."""
    kept: list[tuple[float, float]] = []
    for point in points:
        if not kept or point[0] - kept[-1][0] >= EVERY_S * 0.999:
            kept.append(point)
    return kept


def energy_growth(joules: list[tuple[float, float]], tokens: list[tuple[float, float]]) -> Pairs:
    """By how much two counters grew from second to second, where both were read."""
    at = dict(tokens)
    both = spaced([(time_s, value) for time_s, value in joules if time_s in at])
    growth = [(late[1] - early[1], at[late[0]] - at[early[0]]) for early, late in pairwise(both)]
    # A counter that went down belongs to another process or card.
    return [pair for pair in growth if min(pair) >= 0]


def _ended(snapshot: Snapshot) -> list[Ended]:
    """The requests that ended within the window, in the order in which they did."""
    try:
        screen = msgspec.convert(snapshot.screen, _Screen)
    except (msgspec.ValidationError, RecursionError):
        return []
    length_s = WINDOW_SECONDS.get(snapshot.settings.window)
    if snapshot.settings.window is Window.SWITCH or length_s is None:
        length_s = float("inf")
    ended = sorted(
        (row.arrival_s + row.e2e_ms / 1e3, place)
        for place, row in enumerate(screen.requests.rows)
        if row.state in (RequestState.FINISHED, RequestState.FAILED)
    )
    rows = [screen.requests.rows[place] for at, place in ended if at >= screen.wall_s - length_s]
    return [
        Ended(
            failed=row.state is RequestState.FAILED,
            ttft=row.ttft_ms,
            tpot=row.tpot_ms,
            e2e=row.e2e_ms,
            queue=row.queue_ms,
        )
        for row in rows
    ]
