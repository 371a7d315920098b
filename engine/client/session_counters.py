"""The session's counters, carried over the deaths of the worker that counts them."""

from collections import Counter

import msgspec

from ..protocol import Accounting, Frame


class SessionCounters:
    """Makes the frames of successive workers count as one session.

    A worker counts from zero. The requests that were in the system of one that died will never
    finish: they become failed. So submitted = finished + failed + in system holds in every frame,
    and no counter ever goes back. The session's age is the first worker's, which goes on: the
    workers run on one machine, and so share one monotonic clock.
    """

    def __init__(self) -> None:
        self._began_at_s: float | None = None
        self._latest: Frame | None = None
        """The living worker's last frame, as it sent it."""
        self._before: Frame | None = None
        """The last frame of the workers that died, with the session's counters."""

    def carry(self, frame: Frame) -> Frame:
        """The worker's frame with the session's counters."""
        self._latest = frame
        if self._began_at_s is None:
            self._began_at_s = frame.at_s - frame.uptime_s
        if self._before is None:
            return frame
        before, own = _accounting(self._before), _accounting(frame)
        return msgspec.structs.replace(
            frame,
            sequence=self._before.sequence + 1 + frame.sequence,
            uptime_s=frame.at_s - self._began_at_s,
            accounting=Accounting(
                submitted=before.submitted + own.submitted,
                finished=before.finished + own.finished,
                # Those in the system of a worker that died never finish.
                failed=before.failed + before.in_system + own.failed,
                in_system=own.in_system,
                rejected=before.rejected + own.rejected,
                refused=dict(Counter(before.refused) + Counter(own.refused)),
            ),
            queue=msgspec.structs.replace(
                frame.queue,
                preemptions=(self._before.queue.preemptions or 0) + (frame.queue.preemptions or 0),
            ),
            generated_tokens_total=(self._before.generated_tokens_total or 0)
            + (frame.generated_tokens_total or 0),
        )

    def close_worker(self) -> int:
        """The worker has died: how many requests it takes with it, as far as its frames tell."""
        if self._latest is None:
            return 0
        self._before, self._latest = self.carry(self._latest), None
        return _accounting(self._before).in_system


def _accounting(frame: Frame) -> Accounting:
    """A worker of ours always tells it."""
    return frame.accounting or Accounting()
