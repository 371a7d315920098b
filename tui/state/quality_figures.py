"""The levels as the Quality tab shows them: what was measured, and what is worked out of it.

Pure. What was not measured is `None`. The definitions are in docs/quality.md.
"""

from dataclasses import dataclass

from ...engine.protocol import (
    ErrorTotals,
    GreedyText,
    LevelQuality,
    PrecisionName,
    describe_load,
)
from .moment import Moment
from .speeds import Conditions, Speed

KEEPS_MOST, KEEPS_MUCH = 0.95, 0.90
"""Retention at which the chart draws its lines."""


@dataclass(frozen=True, slots=True)
class LevelFigures:
    """One precision. `reason`: why there is none of it; `served`: it is in use now."""

    precision: PrecisionName
    measured: LevelQuality | None = None
    base: LevelQuality | None = None
    """The reference, once it is measured."""
    errors: ErrorTotals | None = None
    speed: Speed | None = None
    base_speed: Speed | None = None
    reason: str | None = None
    served: bool = False

    @property
    def is_reference(self) -> bool:
        return self.measured is not None and self.measured.ratio is None

    @property
    def bits(self) -> float | None:
        """Stored bits a weight of the layers, scales among them."""
        return 8 * self.errors.stored_bytes / self.errors.parameters if self.errors else None

    @property
    def compression(self) -> float | None:
        """The reference's bytes over this one's, of all weights."""
        if self.measured is None or self.base is None:
            return None
        return self.base.weights_bytes / self.measured.weights_bytes

    @property
    def speedup(self) -> float | None:
        """Its tokens per second over the reference's, both measured under the same conditions."""
        if self.speed is None or self.base_speed is None:
            return None
        return self.speed.tok_s / self.base_speed.tok_s

    @property
    def retention(self) -> float | None:
        return None if self.measured is None else self.measured.retention

    @property
    def loss_percent(self) -> float | None:
        """What of the quality is lost; 0 where no difference was measured, or a gain."""
        retention = self.retention
        if self.measured is None or retention is None:
            return None
        return 100 * max(0.0, 1 - retention) if self.measured.differs else 0.0

    @property
    def efficiency(self) -> float | None:
        """`compression × speedup / (1 + quality loss % / 10)`: 1 for the reference."""
        parts = (self.compression, self.speedup, self.loss_percent)
        compression, speedup, loss = parts
        if compression is None or speedup is None or loss is None:
            return None
        return compression * speedup / (1 + loss / 10)

    @property
    def greedy(self) -> GreedyText | None:
        return None if self.measured is None else self.measured.greedy


def level_figures(moment: Moment) -> tuple[LevelFigures, ...]:
    """Every precision, in the order in which `[` and `]` walk: never ranked."""
    quality, frame = moment.quality, moment.frame
    speeds = moment.speeds.under(where) if (where := conditions(moment)) is not None else {}
    reasons = {status.name: status.reason for status in frame.precisions} if frame else {}
    reasons |= {each.precision: each.reason for each in quality.skipped}
    base = quality.reference
    found = []
    for name in PrecisionName:
        report, measured = quality.report(name), quality.level(name)
        found.append(
            LevelFigures(
                precision=name,
                measured=measured,
                base=base,
                errors=report.totals if report else None,
                speed=speeds.get(name),
                base_speed=speeds.get(base.precision) if base else None,
                reason=None if measured else reasons.get(name),
                served=frame is not None and frame.precision == name,
            )
        )
    return tuple(found)


def conditions(moment: Moment) -> Conditions | None:
    """Those whose speeds are shown: the present ones where any was measured under them, else the
    last ones of the same model and device under which some was."""
    quality, frame = moment.quality, moment.frame
    now = Conditions.of(frame) if frame is not None else None
    subject = (quality.model, quality.device) if quality.model else None
    if now is not None and subject is None:
        subject = (now.model, now.device)
    measured = [
        where for where, _ in moment.speeds.measured if (where.model, where.device) == subject
    ]
    if now in measured:
        return now
    return measured[-1] if measured else None


def conditions_text(where: Conditions | None) -> str:
    """`8 users, hybrid`; empty for none."""
    return "" if where is None else f"{describe_load(where.load)}, {where.strategy}"


def speed_obstacle(moment: Moment) -> str | None:
    """Why serving as it is now gives no speed of a precision; `None` where it does."""
    load = None if moment.frame is None else moment.frame.load
    if load is None:
        return "nothing is served"
    if load.paused:
        return "the load is paused"
    if load.is_open:
        return "with arrivals at a rate these decide it, :users 8 sets a closed loop"
    return None


def of_another(moment: Moment) -> str | None:
    """The model that was measured, or else the device, where it is not the one that serves."""
    quality, frame = moment.quality, moment.frame
    if not quality.model or frame is None:
        return None
    if quality.model != frame.model.name:
        return quality.model
    return quality.device if quality.device != frame.device_name else None
