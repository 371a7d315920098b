"""How many of the engine's frames never came: their numbers have gaps where some were dropped."""

from collections import deque
from collections.abc import Sequence

from ...engine.protocol import TREND_SPAN_S, Frame, HostSample, Report

LEAST_FRAMES = 8
"""From fewer than these no share is told: one gap among them is no slow screen."""


class FrameLoss:
    """Follows the numbers of the frames of the last ten seconds."""

    def __init__(self) -> None:
        self._arrivals: deque[tuple[float, int]] = deque()
        """When a frame came, and how many before it did not."""
        self._newest: int | None = None

    def on_frame(self, sequence: int, now_s: float) -> None:
        """A frame came. A number that is not above the last one's is of another engine."""
        newest, self._newest = self._newest, sequence
        missing = 0 if newest is None or sequence <= newest else sequence - newest - 1
        self._arrivals.append((now_s, missing))

    def restart(self) -> None:
        """Another engine counts from elsewhere."""
        self._newest = None

    def share(self, now_s: float) -> float:
        """Frames dropped over frames sent in the last ten seconds; 0 where hardly any came."""
        while self._arrivals and self._arrivals[0][0] < now_s - TREND_SPAN_S:
            self._arrivals.popleft()
        dropped = sum(missing for _, missing in self._arrivals)
        came = len(self._arrivals)
        return dropped / (dropped + came) if came >= LEAST_FRAMES else 0.0


def newest_of(
    reports: Sequence[Report], loss: FrameLoss, now_s: float
) -> tuple[Frame | None, HostSample | None]:
    """Only the newest figures count: older ones of the same poll were never shown."""
    frame: Frame | None = None
    host: HostSample | None = None
    for report in reports:
        if isinstance(report, Frame):
            frame = report
            loss.on_frame(report.sequence, now_s)
        elif isinstance(report, HostSample):
            host = report
    return frame, host
