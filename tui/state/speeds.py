"""The speed of each precision as it was served: from the frames of steady stretches.

Pure. Speeds compare only under the same conditions: model, device, strategy, load and drafts.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ...engine.protocol import (
    Frame,
    LoadSpec,
    PrecisionName,
    SpeculationSpec,
    StrategyName,
    setting_of,
)

SETTLE_S = 2.0
"""After a change of anything: not counted."""
LEAST_S = 5.0
"""A stretch that is shorter gives no speed."""
MOST_CONDITIONS = 32


@dataclass(frozen=True, slots=True)
class Conditions:
    """Under what a speed was measured, but for the precision."""

    model: str
    device: str
    strategy: StrategyName
    load: LoadSpec
    max_seqs: int
    speculation: SpeculationSpec | None

    @classmethod
    def of(cls, frame: Frame) -> "Conditions | None":
        """Those of a frame; `None` of another's server, of which they are not known."""
        setting = setting_of(frame)
        if setting is None:
            return None
        return cls(
            model=frame.model.name,
            device=frame.device_name,
            strategy=setting.strategy,
            load=setting.load,
            max_seqs=setting.max_seqs,
            speculation=None if frame.speculation is None else frame.speculation.spec,
        )

    @property
    def measurable(self) -> bool:
        """In an open loop the arrivals decide how many tokens come, not the precision."""
        return not self.load.paused and not self.load.is_open


@dataclass(frozen=True, slots=True)
class Speed:
    """Generated tokens per second, over so many seconds."""

    tok_s: float
    over_s: float


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Serving without a change: what it stands under, its first and newest frame that count, as
    (time on the worker's clock, tokens so far)."""

    conditions: Conditions
    precision: PrecisionName
    count_from_s: float
    first: tuple[float, int] | None = None
    newest: tuple[float, int] | None = None

    @property
    def speed(self) -> Speed | None:
        if self.first is None or self.newest is None:
            return None
        over_s, tokens = self.newest[0] - self.first[0], self.newest[1] - self.first[1]
        return Speed(tokens / over_s, over_s) if over_s >= LEAST_S and tokens > 0 else None


@dataclass(frozen=True, slots=True)
class Speeds:
    """Every speed that was measured, and the stretch under way."""

    measured: Mapping[tuple[Conditions, PrecisionName], Speed] = field(default_factory=dict)
    stretch: _Stretch | None = None

    def under(self, conditions: Conditions) -> dict[PrecisionName, Speed]:
        """The speeds that compare with each other under these conditions, by precision."""
        return {
            precision: speed
            for (where, precision), speed in self.measured.items()
            if where == conditions
        }


NO_SPEEDS = Speeds()


def after_frame(speeds: Speeds, frame: Frame, *, disturbed: bool) -> Speeds:
    """What is known once `frame` has come. `disturbed`: something else is measured beside serving,
    so that its speed counts for nothing."""
    conditions, precision = Conditions.of(frame), frame.precision
    tokens = frame.generated_tokens_total
    if conditions is None or precision is None or tokens is None:
        return speeds
    changing = frame.switching is not None or frame.preparing is not None
    if disturbed or changing or not conditions.measurable:
        return replace(speeds, stretch=None) if speeds.stretch is not None else speeds
    here, stretch = (frame.at_s, tokens), speeds.stretch
    goes_on = (
        stretch is not None
        and (stretch.conditions, stretch.precision) == (conditions, precision)
        # A worker that was started again counts from 0.
        and (stretch.newest is None or stretch.newest <= here)
        and (stretch.newest is None or stretch.newest[1] <= here[1])
    )
    if stretch is None or not goes_on:
        begun = _Stretch(conditions, precision, frame.at_s + SETTLE_S)
        return replace(speeds, stretch=begun)
    if frame.at_s < stretch.count_from_s:
        return speeds
    stretch = replace(stretch, first=stretch.first or here, newest=here)
    if stretch.speed is None:
        return replace(speeds, stretch=stretch)
    key = (conditions, precision)
    measured = {name: speed for name, speed in speeds.measured.items() if name != key}
    newest = list(measured.items())[-MOST_CONDITIONS * len(PrecisionName) :]
    return Speeds({**dict(newest), key: stretch.speed}, stretch)
