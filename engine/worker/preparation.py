"""What the worker makes ready while it serves: kernels for now, and for a switch to come."""

import select
from collections.abc import Callable, Iterator

from ..protocol import Command, PrecisionName, Progress
from ..protocol.channel import Channel
from ..serving.engine import Engine

_LONGEST_WAIT_S = 0.1


class Preparation:
    """Makes the kernels of `engine` ready, and then what the pieces of `later` do."""

    def __init__(self, engine: Engine, later: Iterator[PrecisionName] | None) -> None:
        self._engine = engine
        self._later = later

    @property
    def can_go_on(self) -> bool:
        """Whether there is something left that waits for nothing."""
        preparing = self._engine.preparing
        return (preparing is not None and not preparing.blocked) or self._later is not None

    def go_on(self) -> None:
        """A short while, between two steps."""
        if self._engine.preparing is not None:
            self._engine.prepare()
        elif self._later is not None and next(self._later, None) is None:
            self._later = None

    def finish(self, channel: Channel[Command], keep_going: Callable[[], bool]) -> None:
        """Until the engine is as fast as it gets, or `keep_going` says no: what is measured next
        has to be."""
        while (preparing := self._engine.preparing) is not None and keep_going():
            channel.send(Progress(what=preparing.what))
            if preparing.blocked:
                select.select([channel], [], [], _LONGEST_WAIT_S)
            self._engine.prepare()
