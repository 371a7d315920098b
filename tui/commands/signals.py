"""Signals that end a command without a screen: noted, and acted on where it looks."""

import signal
from collections.abc import Sequence
from types import FrameType, TracebackType
from typing import Self

from ...engine.protocol.errors import ProdtopError

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


class InterruptedByError(ProdtopError):
    """A signal ended what a command did; the exit code is the shell's for it."""

    def __init__(self, number: int) -> None:
        super().__init__(f"ended by {signal.Signals(number).name}")
        self.exit_code = 128 + number


class RaisingSignals(EndingSignals):
    """While it is entered, the first such signal raises `InterruptedByError`; later ones are
    counted, so that nothing keeps what was started from being ended."""

    def _note(self, number: int, frame: FrameType | None) -> None:
        super()._note(number, frame)
        if self.count == 1:
            raise InterruptedByError(number)
