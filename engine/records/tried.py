"""What was tried: the record of one choice of settings, and the figures that it settled to."""

from enum import StrEnum

import msgspec

from ..protocol import LoadSpec, PrecisionName, SpeculationSpec, StrategyName, Summary


class Steadiness(StrEnum):
    """What a record's figures are worth."""

    STEADY = "steady"
    FILLING = "queue grows"
    """Its figures are those of a queue that grows: latencies are known from below."""
    UNSETTLED = "not settled"
    """It never served long enough for figures."""


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """What is served, and under which load: a cell of the table. Hashable."""

    strategy: StrategyName
    precision: PrecisionName
    load: LoadSpec
    speculation: SpeculationSpec | None = None


class Tried(msgspec.Struct, frozen=True, kw_only=True):
    """A choice of settings that was in use, with the figures of its last steady span."""

    settings: Choice
    figures: Summary | None = None
    """`None`: nothing steady was seen."""
    last_seen_wall_s: float = 0.0

    @property
    def steadiness(self) -> Steadiness:
        if self.figures is None:
            return Steadiness.UNSETTLED
        return Steadiness.FILLING if self.figures.growing else Steadiness.STEADY
