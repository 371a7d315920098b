"""One word for how the engine does, with its reason: what the health line shows."""

from dataclasses import dataclass
from enum import StrEnum

from ..style.inks import Ink


class Word(StrEnum):
    """The conditions, in the order in which they are looked for: the first that holds is shown."""

    PAUSED = "PAUSED"
    """The display is frozen: every figure on it is of the past."""
    GPU_LOST = "GPU LOST"
    """The driver no longer lists the engine's GPU. Before what follows from it."""
    ENGINE_DOWN = "ENGINE DOWN"
    SERVER_DOWN = "SERVER DOWN"
    """Nobody takes requests from outside; what was in flight is lost."""
    LOADING = "LOADING"
    MEASURING = "MEASURING"
    """Cells are compared: the live load is set aside. Before the silence that it explains."""
    COMPILING = "COMPILING"
    """Kernels are compiled or weights packed. Before the silence that it explains."""
    STALLED = "STALLED"
    """Requests are in the system, and nothing is heard of them, or no step is computed."""
    STALE = "STALE"
    """The figures are old, and nothing was in the system."""
    FAILING = "FAILING"
    KV_FULL = "KV FULL"
    """Running requests are preempted, or the next one waits, for lack of KV blocks."""
    OVERLOADED = "OVERLOADED"
    """More than a batch waits."""
    SLOW = "SLOW"
    """A latency is over its limit."""
    LAGGING = "LAGGING"
    """The screen takes the engine's frames too slowly: some are dropped."""
    IDLE = "IDLE"
    OK = "OK"


WORD_CELLS = max(len(word) for word in Word)


@dataclass(frozen=True, slots=True)
class Health:
    """A condition, and why: facts in order of weight, of which a header shows what fits."""

    word: Word = Word.LOADING
    reason: tuple[str, ...] = ()
    ink: Ink = Ink.WARN


UNKNOWN = Health()
"""Before anything was judged."""
