"""What is known of the quality of precisions: fed with the engine's events, kept for the session.

Pure: events and keys lead from one state to the next.
"""

from dataclasses import dataclass, replace

from ...engine.protocol import (
    ChildDied,
    ChildStarted,
    ErrorReport,
    Event,
    Fault,
    Frame,
    LevelQuality,
    LevelSkipped,
    PrecisionName,
    Progress,
    QualityDone,
    QualitySpec,
    Ready,
    RunQuality,
)
from ...engine.records.snapshot import QualityRecord
from .stage import Stage


@dataclass(frozen=True, slots=True)
class Quality:
    """What was measured, level by level, and what is being measured.

    `levels`, `errors` and `skipped` are in the order in which they came, one of each name. What an
    earlier run measured stays until it is measured anew, as long as model and device are the same.
    """

    run: Stage = Stage.NONE
    model: str = ""
    device: str = ""
    asked: tuple[PrecisionName, ...] = ()
    """The precisions of the last run."""
    doing: str = ""
    fraction: float | None = None
    reason: str = ""
    """Why the last run failed."""
    levels: tuple[LevelQuality, ...] = ()
    errors: tuple[ErrorReport, ...] = ()
    skipped: tuple[LevelSkipped, ...] = ()
    came: frozenset[PrecisionName] = frozenset()
    """The levels that the last run has measured or skipped."""

    @property
    def running(self) -> bool:
        """Whether the engine measures now: its speed is not that of serving alone."""
        return self.run in (Stage.RUNNING, Stage.CANCELLING)

    @property
    def reference(self) -> LevelQuality | None:
        """The level that all others are compared with, once it is measured."""
        return next((level for level in self.levels if level.ratio is None), None)

    def level(self, name: str) -> LevelQuality | None:
        return next((level for level in self.levels if level.precision == name), None)

    def report(self, scheme: str) -> ErrorReport | None:
        """The errors of the weights in a scheme: of a precision, or of `affine-8` and its like."""
        return next((each for each in self.errors if each.totals.scheme == scheme), None)


NO_QUALITY = Quality()


def runnable(frame: Frame) -> list[PrecisionName]:
    """The precisions that the engine's device can run."""
    return [status.name for status in frame.precisions if status.reason is None]


def toggled(quality: Quality, frame: Frame) -> tuple[Quality, RunQuality | None]:
    """Begin to measure every precision that the device can run, or cancel what is under way."""
    if quality.running:
        return cancelled(quality)
    asked = runnable(frame)
    model, device = frame.model.name, frame.device_name
    same = (quality.model, quality.device) == (model, device)
    begun = replace(
        quality if same else Quality(),
        run=Stage.RUNNING,
        model=model,
        device=device,
        asked=tuple(asked),
        doing="reading the text",
        fraction=None,
        reason="",
        came=frozenset(),
    )
    return begun, RunQuality(spec=QualitySpec(precisions=asked, layers=True))


def cancelled(quality: Quality) -> tuple[Quality, RunQuality | None]:
    """Have what is under way stop; nothing is sent where nothing is, or where it was told so."""
    if quality.run is not Stage.RUNNING:
        return quality, None
    return replace(quality, run=Stage.CANCELLING), RunQuality(spec=None)


def quality_after(quality: Quality, event: Event) -> Quality:
    """The state that follows once `event` has come in. Without a run, no event changes it: what an
    engine says while it starts is progress too."""
    if not quality.running:
        return quality
    match event:
        case Progress(what=what, fraction=fraction):
            return replace(quality, doing=what, fraction=fraction)
        case LevelQuality(precision=precision):
            return replace(
                quality,
                levels=(*(x for x in quality.levels if x.precision != precision), event),
                skipped=tuple(x for x in quality.skipped if x.precision != precision),
                came=quality.came | {precision},
            )
        case LevelSkipped(precision=precision):
            return replace(
                quality,
                skipped=(*(x for x in quality.skipped if x.precision != precision), event),
                came=quality.came | {precision},
            )
        case ErrorReport(totals=totals):
            others = (x for x in quality.errors if x.totals.scheme != totals.scheme)
            return replace(quality, errors=(*others, event))
        case Fault(message=message):
            return replace(quality, reason=message)
        case QualityDone():
            return _ended(quality)
        case ChildDied(child="worker", reason=reason):
            return _failed(quality, f"the worker died: {reason}")
        case Ready() | ChildStarted(child="worker"):
            return _failed(quality, "the engine was started anew")
        case _:
            return quality


def record(quality: Quality) -> QualityRecord | None:
    """What a snapshot keeps of it; `None` where nothing was measured."""
    if not (quality.levels or quality.errors or quality.skipped):
        return None
    return QualityRecord(
        model=quality.model,
        device=quality.device,
        levels=list(quality.levels),
        errors=list(quality.errors),
        skipped=list(quality.skipped),
    )


def _ended(quality: Quality) -> Quality:
    """Done where all that was asked for came, however late it was told to stop."""
    if quality.came >= set(quality.asked):
        return replace(quality, run=Stage.DONE, doing="", fraction=None, reason="")
    if quality.run is Stage.CANCELLING:
        return replace(quality, run=Stage.CANCELLED, doing="", fraction=None)
    return _failed(quality, quality.reason or "the engine stopped measuring")


def _failed(quality: Quality, reason: str) -> Quality:
    return replace(quality, run=Stage.FAILED, reason=reason, doing="", fraction=None)
