"""Signals that end a command without a screen: noted, and acted on where it looks."""

import signal
from collections.abc import Sequence
from types import FrameType, TracebackType
from typing import Self

ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class EndingSignals:
    """While it is entered, signals that would end the process are counted instead."""

    def __init__(self, signals: Sequence[signal.Signals] = ENDING) -> None:
        self._signals = signals
        self._before: dict[signal.Signals, object] = {}
        self.count = 0

    def __enter__(self) -> Self:
        for each in self._signals:
            self._before[each] = signal.signal(each, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for each, handler in self._before.items():
            signal.signal(each, handler)  # type: ignore[arg-type]  # what signal.signal gave

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self.count += 1
