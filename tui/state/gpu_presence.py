"""Whether the driver still lists the engine's GPU, which it did before."""

from ...engine.protocol import Frame, HostSample
from ...engine.records.engine_gpu import engine_gpu

GPU_LOST_AFTER_S = 1.0
"""Samples without the engine's GPU over so long: one alone may be a slip of the driver."""


class GpuPresence:
    """Told of every sample of the machine. Times are on one clock."""

    def __init__(self) -> None:
        self._seen_s: float | None = None
        self._sampled_s: float | None = None

    def take(self, frame: Frame | None, host: HostSample, now_s: float) -> None:
        """A sample came, while the engine last said `frame`."""
        self._sampled_s = now_s
        if engine_gpu(frame, host.gpus) is not None:
            self._seen_s = now_s

    def lost_s(self, now_s: float) -> float | None:
        """For how long it has not been listed; `None` while it is, and where it never was."""
        seen_s, sampled_s = self._seen_s, self._sampled_s
        if seen_s is None or sampled_s is None or sampled_s - seen_s < GPU_LOST_AFTER_S:
            return None
        return now_s - seen_s
