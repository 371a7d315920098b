"""The session's counters, carried over the deaths of the worker that counts them."""

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
        self._before = Accounting()
        self._before_sequence = 0
        self._before_tokens = 0
        self._before_preemptions = 0
        self._latest: Frame | None = None
        self._began_at_s: float | None = None

    def carry(self, frame: Frame) -> Frame:
        """The worker's frame with the session's counters."""
        self._latest = frame
        if self._began_at_s is None:
            self._began_at_s = frame.at_s - frame.uptime_s
        before, own = self._before, frame.accounting
        return msgspec.structs.replace(
            frame,
            sequence=self._before_sequence + frame.sequence,
            uptime_s=frame.at_s - self._began_at_s,
            accounting=Accounting(
                submitted=before.submitted + own.submitted,
                finished=before.finished + own.finished,
                failed=before.failed + own.failed,
                in_system=own.in_system,
            ),
            queue=msgspec.structs.replace(
                frame.queue, preemptions=self._before_preemptions + frame.queue.preemptions
            ),
            generated_tokens_total=self._before_tokens + frame.generated_tokens_total,
        )

    def close_worker(self) -> int:
        """The worker has died: how many requests it takes with it, as far as its frames tell."""
        if self._latest is None:
            return 0
        last = self.carry(self._latest)
        lost = last.accounting.in_system
        self._before = Accounting(
            submitted=last.accounting.submitted,
            finished=last.accounting.finished,
            failed=last.accounting.failed + lost,
        )
        self._before_sequence = last.sequence + 1
        self._before_tokens = last.generated_tokens_total
        self._before_preemptions = last.queue.preemptions
        self._latest = None
        return lost
