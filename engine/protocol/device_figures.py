"""What the engine takes of its device: memory, and how much of the ceilings."""

from enum import StrEnum

from .message import Part


class Memory(Part, frozen=True, kw_only=True):
    """Bytes on the engine's device. The parts add up to `used_bytes`, by construction of `other`.

    `used_bytes` is what the process holds on the device; on a CPU its resident set.
    """

    used_bytes: int
    weights_bytes: int
    kv_bytes: int
    master_bytes: int | None = None
    """The master copy that every switch of precision reads, less what the weights share with it;
    `None` where it stays elsewhere."""
    graphs_bytes: int | None = None
    """What captured graphs of steps hold; `None` where none were captured."""
    workspace_bytes: int | None = None
    """Activations and what torch keeps in reserve; `None` on a CPU, where they are not told apart
    from the rest."""
    other_bytes: int
    """The rest of the process: context, libraries, the interpreter."""
    torch_allocated_bytes: int | None = None
    torch_reserved_bytes: int | None = None


class Bound(StrEnum):
    """What limits the tokens per second."""

    QUEUE = "queue"
    """There is no request to compute, some of the time."""
    HOST = "host"
    """The device waits for the process that feeds it."""
    BANDWIDTH = "bandwidth"
    COMPUTE = "compute"
    LATENCY = "latency"
    """The device works all the time, far from both ceilings: on short kernels, one by one."""


class Verdict(Part, frozen=True, kw_only=True):
    """What limits the engine now, and by how much, as a fraction of 1.

    Of `QUEUE` and `HOST` it is the time lost, of `BANDWIDTH` and `COMPUTE` the part of the ceiling
    that is reached while the device works, of `LATENCY` what is missing to the nearer ceiling.
    """

    bound: Bound
    share: float


class Roofline(Part, frozen=True, kw_only=True):
    """How much of the device's measured ceilings is used; fractions of 1.

    `active` is the share of time in which requests ran, `busy` that in which the device worked.
    """

    mbu: float | None = None
    mfu: float | None = None
    active: float | None = None
    busy: float | None = None
    verdict: Verdict | None = None
