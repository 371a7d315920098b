"""One strategy on one cluster beside one GPU: speed-up, Amdahl's bound, and a weighted score."""

from dataclasses import dataclass
from functools import cached_property

from ..cost.estimate import Estimate
from ..search.strategies import Strategy

WEIGHTS = (0.4, 0.3, 0.3)
"""Of the score: scaling efficiency, the step's share without communication, memory efficiency."""


@dataclass(frozen=True)
class Rated:
    """One strategy on a cluster. `fits`: whether the limit holds it; `reason`: why there is none.

    estimate: the fastest layout that fits, else the leanest, `None` where no layout is legal.
    one_gpu: the same model and batch on a single GPU; where none fits, on one with more memory.
    """

    strategy: Strategy
    gpus: int
    estimate: Estimate | None
    fits: bool
    reason: str | None
    one_gpu: Estimate

    @cached_property
    def speedup(self) -> float | None:
        """Times as many tokens per second as one GPU."""
        one = self.estimate
        return None if one is None else one.tokens_s / self.one_gpu.tokens_s

    @property
    def efficiency(self) -> float | None:
        """Scaling efficiency: the speed-up over the GPUs that it took."""
        return None if self.speedup is None else self.speedup / self.gpus

    @property
    def serial_share(self) -> float | None:
        """The share of one GPU's work that did not get faster (Karp and Flatt 1990).

        `None` on one GPU, 0 where the speed-up is linear or better, 1 where it is none.
        """
        if self.speedup is None or self.gpus == 1:
            return None
        share = (1 / self.speedup - 1 / self.gpus) / (1 - 1 / self.gpus)
        return min(1.0, max(0.0, share))

    @property
    def amdahl_bound(self) -> float | None:
        """Speed-up over one GPU with any number of GPUs, if that share stayed (Amdahl 1967)."""
        return 1 / self.serial_share if self.serial_share else None

    @property
    def quiet(self) -> float | None:
        """The share of the step that does not wait for communication."""
        return None if self.estimate is None else 1 - self.estimate.communication_share

    @property
    def memory_efficiency(self) -> float | None:
        """Of all memory that the cluster takes, the share that is no copy and no overhead.

        One set of weights, gradients and optimizer states, and the activations and logits in
        flight, over the fullest GPU's peak times all GPUs. Copies on every replica lower it, and so
        does a GPU that holds next to nothing: its context and fragments are overhead.
        """
        if self.estimate is None:
            return None
        held, once = self.estimate.memory, self.one_gpu.memory
        states = once.weights + once.gradients + once.optimizer
        in_flight = held.activations + held.logits
        return min(1.0, (states / self.gpus + in_flight) / held.total)

    @property
    def score(self) -> float | None:
        """The weighted sum of the three shares, each at most 1; `None` where nothing fits."""
        parts = (self.efficiency, self.quiet, self.memory_efficiency)
        known = [min(1.0, part) for part in parts if part is not None]
        if not self.fits or len(known) < len(parts):
            return None
        return sum(weight * part for weight, part in zip(WEIGHTS, known, strict=True))
