"""What exports take out of a recording."""

from collections.abc import Iterator
from typing import NamedTuple

from ...protocol import FinishedRequest, Frame
from ...text.cleaning import clean
from ..columns import figures
from ..engine_gpu import engine_gpu
from ..recording.reader import Recording


class Ended(NamedTuple):
    """A request that ended. `began_s`: its arrival, since the first tick of the recording; below 0
    where it came before. Texts are clean."""

    request: FinishedRequest
    began_s: float
    reason: str


class Point(NamedTuple):
    """The columns of one poll. `wall_s` is Unix time that never jumps: the begin's, and what the
    monotonic clock has counted since."""

    since_s: float
    wall_s: float
    columns: dict[str, float | None]


def ended_requests(recording: Recording) -> Iterator[Ended]:
    """The requests that ended, in the order in which that was told."""
    worker_ahead_s = 0.0
    for tick in recording.ticks(recording.first_tick):
        if tick.frame is not None:
            # The worker's clock and the screen's are read at slightly different moments.
            worker_ahead_s = _worker_ahead_s(tick.frame, tick.clock_s)
        for request in tick.ended:
            began_s = request.arrival_at_s - worker_ahead_s - recording.began_clock_s
            yield Ended(request, began_s, clean(request.finish_reason))


def _worker_ahead_s(frame: Frame, clock_s: float) -> float:
    """How far the worker's clock is ahead of the screen's; they are one clock on one machine."""
    ahead_s = frame.at_s - clock_s
    return 0.0 if abs(ahead_s) < SAME_CLOCK_WITHIN_S else ahead_s


SAME_CLOCK_WITHIN_S = 60.0
"""Clocks that are no further apart are the same: a frame is not on its way for a minute."""


def left_out(recording: Recording) -> int:
    """Requests that ended and that the engine did not tell of one by one: there were too many."""
    return sum(tick.poll.left_out for tick in recording.ticks(recording.first_tick))


def points(recording: Recording) -> Iterator[Point]:
    """The columns of every poll."""
    frame: Frame | None = None
    began = recording.spans[0]
    for tick in recording.ticks(recording.first_tick):
        frame = tick.frame or frame
        gpu = None if tick.host is None else engine_gpu(frame, tick.host.gpus)
        since_s = tick.clock_s - began.began_clock_s
        columns = figures(tick.frame, tick.host, gpu)
        yield Point(since_s, began.began_wall_s + since_s, columns)
