"""The settings that a restarted worker begins with: those that are known to go well."""

from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from ..protocol import (
    Command,
    EngineChanges,
    Frame,
    PrecisionName,
    SetLoad,
    SetMaxSeqs,
    SetPrecision,
    SetSlo,
    SetSpeculation,
    SetStrategy,
    describe_load,
    describe_speculation,
)
from ..protocol.options import WorkerOptions

TRIAL_S = 20.0
"""Settings that were served with for so long are not what a worker dies of."""


@dataclass(frozen=True, slots=True)
class _Settings:
    options: WorkerOptions
    speculation: SetSpeculation | None = None


class RestoredSettings:
    """Remembers what was asked for, and drops what was asked last when the worker dies of itself.

    A precision that was asked for and never served at is dropped whatever ended the worker: this
    device may not stand it. `clock` is monotonic, in seconds.
    """

    def __init__(self, options: WorkerOptions, clock: Callable[[], float]) -> None:
        self._current = self._proven = _Settings(options)
        self._clock = clock
        self._asked_precision: PrecisionName | None = None
        self._trial_since_s: float | None = None

    @property
    def options(self) -> WorkerOptions:
        """What the next worker is started with."""
        return self._current.options

    @property
    def speculation(self) -> SetSpeculation | None:
        """Sent to the next worker where it was asked for. Not among the options: these name the
        draft model to load."""
        return self._current.speculation

    @property
    def on_trial(self) -> bool:
        """Whether there are settings to go back to if a worker dies of these."""
        return self._current != self._proven

    def start_with(self, changes: EngineChanges) -> None:
        """The next worker is started with other options."""
        if changes.model is not None and changes.model != self.options.model:
            # What was drafted with, and how long its context is, belong to the model before.
            self._change(speculation=None, context_tokens=None)
        self._change(**changes.given())

    def on_asked(self, command: Command) -> None:
        """A setting was asked for."""
        match command:
            case SetStrategy(name=strategy):
                self._change(strategy=strategy)
            case SetLoad(load=load):
                self._change(load=load)
            case SetMaxSeqs(max_seqs=max_seqs):
                self._change(max_seqs=max_seqs)
            case SetSlo(slo=slo):
                # No worker dies of a limit: it is not on trial.
                for name in ("_current", "_proven"):
                    settings: _Settings = getattr(self, name)
                    options = msgspec.structs.replace(settings.options, slo=slo)
                    setattr(self, name, _Settings(options, settings.speculation))
            case SetSpeculation():
                self._set(_Settings(self.options, command))
            case SetPrecision(name=precision):
                self._asked_precision = precision
            case _:
                pass

    def on_frame(self, frame: Frame) -> None:
        """The worker serves: with the precision of the frame, and longer than before."""
        if frame.precision == self._asked_precision:
            self._asked_precision = None
        if self.options.precision is None:
            # The device's own choice, known now.
            for name in ("_current", "_proven"):
                settings: _Settings = getattr(self, name)
                options = msgspec.structs.replace(settings.options, precision=frame.precision)
                setattr(self, name, _Settings(options, settings.speculation))
        elif frame.precision != self.options.precision:
            self._change(precision=frame.precision)
        if self._current == self._proven:
            return
        if self._trial_since_s is None:
            self._trial_since_s = self._clock()
        elif self._clock() - self._trial_since_s >= TRIAL_S:
            self._proven = self._current

    def on_death(self, *, by_itself: bool) -> list[str]:
        """The worker died; what was dropped, in words. `by_itself`: nobody killed it."""
        dropped: list[str] = []
        if self._asked_precision is not None:
            dropped.append(f"precision {self._asked_precision}")
            self._asked_precision = None
        if by_itself and self._current != self._proven:
            dropped += _differences(self._current, self._proven)
            self._current = self._proven
        self._trial_since_s = None
        return dropped

    def _change(self, **changes: object) -> None:
        options = msgspec.structs.replace(self.options, **changes)
        self._set(_Settings(options, self.speculation))

    def _set(self, settings: _Settings) -> None:
        if settings != self._current:
            self._current, self._trial_since_s = settings, None


def _differences(new: _Settings, old: _Settings) -> list[str]:
    words: list[str] = []
    if new.options.precision != old.options.precision:
        words.append(f"precision {new.options.precision}")
    if new.options.strategy != old.options.strategy:
        words.append(f"strategy {new.options.strategy}")
    if new.options.load != old.options.load:
        words.append(f"load {describe_load(new.options.load)}")
    for name in EngineChanges.__struct_fields__:
        value = getattr(new.options, name)
        if value != getattr(old.options, name):
            words.append(f"{name.replace('_', '-')} {value}")
    if new.speculation != old.speculation and new.speculation is not None:
        words.append(f"speculation {describe_speculation(new.speculation.spec)}")
    return words
