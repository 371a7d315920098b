"""What the server is about to do, which its routes ask: whether it still takes requests."""

import math
from collections.abc import Callable
from time import monotonic


class Draining:
    """Whether the server is about to end: it takes no new request then, and ends those it has.

    The app finds it as `app.state.draining`.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._until_s: float | None = None

    @property
    def active(self) -> bool:
        """`/ready` says no, and a new request is answered by 503 with `Retry-After`."""
        return self._until_s is not None

    @property
    def retry_after_s(self) -> int:
        """When the next server may be there: once this one has ended at the latest."""
        left_s = 0.0 if self._until_s is None else self._until_s - self._clock()
        return max(1, math.ceil(left_s))

    def begin(self, limit_s: float) -> None:
        """Take no new requests; those in flight may take so long. The first call counts."""
        if self._until_s is None:
            self._until_s = self._clock() + limit_s
