"""Measuring quality from the screen: sends what keys ask for, takes events, tells of it."""

from collections.abc import Callable

from ...engine.protocol import Command, Event, Frame, PrecisionName, RunQuality
from .quality import Quality, cancelled, quality_after, toggled
from .stage import Stage
from .told import Told

VOID = "speed figures are void while quality is measured"


class QualityRun:
    """The state of quality (`now`), and the only one that changes it."""

    def __init__(self, send: Callable[[Command], None], say: Callable[[Told], None]) -> None:
        self.now = Quality()
        self._send = send
        self._say = say

    def toggle(self, frame: Frame | None) -> None:
        """Begin to measure every precision, or cancel that; without `frame` nothing begins."""
        if self.now.running:
            self._change(*cancelled(self.now))
        elif frame is not None:
            self._change(*toggled(self.now, frame))

    def cancel(self) -> None:
        if self.now.running:
            self._change(*cancelled(self.now))
        else:
            self._say(Told("no quality is being measured"))

    def take(self, event: Event) -> None:
        self._change(quality_after(self.now, event), None)

    def _change(self, quality: Quality, command: RunQuality | None) -> None:
        before, self.now = self.now, quality
        if command is not None:
            self._send(command)
        told = told_of(before, quality)
        if told is not None:
            self._say(told)


def told_of(before: Quality, after: Quality) -> Told | None:
    """What is told of a step from one state to the next; `None` where nothing is."""
    if before.run is after.run:
        return None
    match after.run:
        case Stage.RUNNING:
            return Told(f"measuring quality at {_names(after.asked)}: {VOID}", mark="quality")
        case Stage.CANCELLING:
            return Told("measuring quality: told to stop")
        case Stage.DONE:
            return Told(
                f"quality measured at {_names(after.came)}", mark="quality ends", answer=False
            )
        case Stage.CANCELLED:
            text = "measuring quality was cancelled; what came before is kept"
            return Told(text, mark="quality ends", answer=False)
        case Stage.FAILED:
            text = f"measuring quality ended early: {after.reason}"
            return Told(text, mark="quality ends", failed=True, answer=False)
        case _:
            return None


def _names(precisions: frozenset[PrecisionName] | tuple[PrecisionName, ...]) -> str:
    return " ".join(name for name in PrecisionName if name in precisions)
