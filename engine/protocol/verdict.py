"""What binds the engine, and why requests wait or are sent back to the queue."""

from enum import StrEnum

from .message import Part


class Refusal(StrEnum):
    """Why a step left requests waiting: what kept the next one out."""

    SEQUENCE_CAP = "sequence cap"
    TOKEN_BUDGET = "token budget"
    KV_BLOCKS = "KV blocks"
    GANG = "gang"
    """Its gang is not full yet, or another one runs, which is not refilled."""


class PreemptionCause(StrEnum):
    """Why a running request was sent back to the queue."""

    KV_BLOCKS = "KV blocks"
    """An older request needed its blocks."""
    SWITCH = "switch"
    """A strategy that runs fewer, or a precision under which its keys and values are void."""


class AdmissionCounts(Part, frozen=True, kw_only=True):
    """Steps planned over a window; in how many of them requests were left waiting, by what kept
    the next one out; requests preempted, by cause. What did not happen is not among the keys."""

    steps: int = 0
    refused: dict[Refusal, int] = {}
    preempted: dict[PreemptionCause, int] = {}

    def refused_share(self, refusal: Refusal) -> float:
        """Steps in which this kept the next request out over all steps; 0 without a step."""
        return self.refused.get(refusal, 0) / self.steps if self.steps else 0.0


class Bound(StrEnum):
    """What binds the engine: more of it, or less of the work that asks for it, is more tokens."""

    NO_WORK = "no work"
    SEQUENCE_CAP = "sequence cap"
    TOKEN_BUDGET = "token budget"
    KV_MEMORY = "KV memory"
    COMPUTE = "compute"
    BANDWIDTH = "bandwidth"
    HOST = "host"
    """The device waits for the process that feeds it."""
    SMALL_OPERATIONS = "small operations"
    """The device works all the time, far from both ceilings: on short kernels, one by one."""
    COMPILING = "compiling"
    """Kernels are compiled, graphs captured or weights packed: no step is computed meanwhile."""


class Verdict(Part, frozen=True, kw_only=True):
    """What binds the engine now, and its figure, as a fraction of 1.

    Of `NO_WORK`, `HOST` and `COMPILING` it is the time that goes there, of `SEQUENCE_CAP` and
    `TOKEN_BUDGET` the part of the steps in which it kept requests waiting, of `KV_MEMORY` the
    blocks that running requests hold, of `BANDWIDTH` and `COMPUTE` the part of the ceiling that is
    reached while the device works, of `SMALL_OPERATIONS` what is missing to the nearer ceiling.
    """

    bound: Bound
    share: float
