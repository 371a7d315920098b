"""The six serving strategies: settings over one scheduler, no loop of their own."""

from dataclasses import dataclass
from enum import Enum

from ..protocol import StrategyName


class Admission(Enum):
    """When waiting requests join the running ones."""

    EACH_STEP = "each step"
    GANG = "gang"
    """Only into an empty batch, once it can be filled or the oldest has waited long enough."""


@dataclass(frozen=True, slots=True)
class Strategy:
    """One row of the table of strategies.

    `max_seqs` is `None` where the engine's own limit holds. `gang_wait_s` is how long the oldest
    waiting request may be held for a gang to fill.
    """

    name: StrategyName
    max_seqs: int | None = None
    admission: Admission = Admission.EACH_STEP
    prefix_cache: bool = False
    response_cache: bool = False
    stream: bool = False
    gang_wait_s: float = 0.25

    def running_limit(self, engine_max_seqs: int) -> int:
        """The most sequences that run at once under an engine built for `engine_max_seqs`."""
        return engine_max_seqs if self.max_seqs is None else min(self.max_seqs, engine_max_seqs)


STRATEGIES: dict[StrategyName, Strategy] = {
    strategy.name: strategy
    for strategy in (
        Strategy(StrategyName.SINGLE, max_seqs=1),
        Strategy(StrategyName.BATCHED, admission=Admission.GANG),
        Strategy(StrategyName.CONTINUOUS),
        Strategy(StrategyName.CACHED, prefix_cache=True, response_cache=True),
        Strategy(StrategyName.STREAMING, stream=True),
        Strategy(StrategyName.HYBRID, prefix_cache=True, response_cache=True, stream=True),
    )
}
