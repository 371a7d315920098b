"""Bounds of what can be set on an engine, for command line, config file and the engine alike."""

import math
from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from .errors import BadInputError
from .load import BurstSpec, LoadSpec, RampSpec, TraceSpec
from .options import WorkerOptions
from .settings import SpeculationSpec


class Bound(NamedTuple):
    """Numbers from `least` to `most`; `exclusive`: above `least`."""

    least: float
    most: float
    exclusive: bool = False

    def violation(self, value: float) -> str | None:
        """What is wrong with `value`, as the end of a sentence; `None` where nothing is."""
        enough = value > self.least if self.exclusive else value >= self.least
        if math.isfinite(value) and enough and value <= self.most:
            return None
        side = "above" if self.exclusive else "from"
        return f"must be a number {side} {self.least:g}, at most {self.most:g}, not {value:g}"


_TOKENS = Bound(1, 2**30)

LOAD_BOUNDS: Mapping[str, Bound] = {
    "users": Bound(0, 100_000),
    "think_s": Bound(0, 86_400),
    "rate_per_s": Bound(0, 1e5, exclusive=True),
    "burstiness": Bound(0, 1e6, exclusive=True),
    "zipf_exponent": Bound(0, 20),
    "output_tokens_min": _TOKENS,
    "output_tokens_max": _TOKENS,
    "prompt_tokens_min": _TOKENS,
    "prompt_tokens_max": _TOKENS,
    "temperature": Bound(0, 1e6),
    "top_p": Bound(0, 1, exclusive=True),
    "fixed_seed_share": Bound(0, 1),
    "max_waiting": Bound(1, 1_000_000),
    "max_waiting_mib": Bound(0, 1e6, exclusive=True),
    "seed": Bound(0, 2**63 - 1),
}
RAMP_BOUNDS: Mapping[str, Bound] = {
    "start": Bound(0, 1e5),
    "seconds": Bound(1e-3, 86_400),
}
BURST_BOUNDS: Mapping[str, Bound] = {
    "rate_per_s": Bound(0, 1e5, exclusive=True),
    "seconds": Bound(1e-3, 86_400),
    "every_s": Bound(1e-3, 86_400),
}
TRACE_BOUNDS: Mapping[str, Bound] = {
    "speed": Bound(1e-3, 1e6),
    "start_s": Bound(0, 1e9),
    "most_requests": Bound(1, 2**53),
}
SPECULATION_BOUNDS: Mapping[str, Bound] = {"drafts": Bound(1, 16)}
WORKER_BOUNDS: Mapping[str, Bound] = {
    "max_seqs": Bound(1, 65_536),
    "context_tokens": Bound(1, 2**30),
    "kv_gib": Bound(0, 1e6, exclusive=True),
    "threads": Bound(1, 65_536),
}


class Violation(NamedTuple):
    """The field whose value cannot be, and what is wrong with it, as the end of a sentence."""

    field: str
    reason: str


def load_violation(load: LoadSpec) -> Violation | None:
    """The first field of a load that no load can have; `None` for a possible load."""
    # Bursts may come with nothing between them.
    checked = load
    if load.burst is not None and load.rate_per_s == 0:
        checked = msgspec.structs.replace(load, rate_per_s=None)
    found = (
        _violation(checked, LOAD_BOUNDS)
        or _part_violation("ramp", load.ramp, RAMP_BOUNDS)
        or _part_violation("burst", load.burst, BURST_BOUNDS)
        or _part_violation("trace", load.trace, TRACE_BOUNDS)
        or _shape_violation(load)
    )
    if found is not None:
        return found
    if (load.prompt_tokens_min is None) != (load.prompt_tokens_max is None):
        return Violation("prompt_tokens_min", "needs prompt_tokens_max, and the other way round")
    for kind in ("output_tokens", "prompt_tokens"):
        least, most = getattr(load, f"{kind}_min"), getattr(load, f"{kind}_max")
        if least is not None and least > most:
            return Violation(f"{kind}_min", f"is above {kind}_max: {least} and {most}")
    return None


def _part_violation(
    name: str, part: RampSpec | BurstSpec | TraceSpec | None, bounds: Mapping[str, Bound]
) -> Violation | None:
    found = None if part is None else _violation(part, bounds)
    return found and Violation(f"{name}.{found.field}", found.reason)


def _shape_violation(load: LoadSpec) -> Violation | None:
    """What does not go together of a ramp, bursts and a trace; each is within its bounds."""
    burst, trace = load.burst, load.trace
    if trace is not None:
        if load.ramp is not None or burst is not None:
            return Violation("trace", "has its own arrivals: it goes without ramp and burst")
        if not trace.path or "\0" in trace.path:
            return Violation("trace", "needs the name of a file")
    if burst is None:
        return None
    if load.ramp is not None:
        return Violation("burst", "and ramp exclude each other")
    if load.rate_per_s is None:
        return Violation("burst", "needs arrivals at a rate: users wait for their answers")
    if burst.seconds >= burst.every_s:
        reason = f"of {burst.seconds:g} s every {burst.every_s:g} s has no end"
        return Violation("burst", reason)
    if burst.rate_per_s * burst.seconds < 1:
        return Violation("burst", "brings less than one request: make it longer or denser")
    return None


def speculation_violation(speculation: SpeculationSpec | None) -> Violation | None:
    """The first field that speculative decoding cannot have; `None` where all is well, or off."""
    return None if speculation is None else _violation(speculation, SPECULATION_BOUNDS)


def worker_violation(options: WorkerOptions) -> Violation | None:
    """The first field of a worker's options that cannot be, its load's and its speculation's too;
    `None` if all can."""
    return (
        _violation(options, WORKER_BOUNDS)
        or load_violation(options.load)
        or speculation_violation(options.speculation)
    )


def _violation(settings: msgspec.Struct, bounds: Mapping[str, Bound]) -> Violation | None:
    for field, bound in bounds.items():
        value = getattr(settings, field)
        reason = None if value is None else bound.violation(value)
        if reason is not None:
            return Violation(field, reason)
    return None


def check_load(load: LoadSpec) -> None:
    """Raise `BadInputError`, naming the field, if no load can be like this."""
    _refuse(load_violation(load))


def check_speculation(speculation: SpeculationSpec | None) -> None:
    """Raise `BadInputError`, naming the field, if no speculative decoding can be like this."""
    _refuse(speculation_violation(speculation))


def _refuse(violation: Violation | None) -> None:
    if violation is not None:
        raise BadInputError(f"{violation.field} {violation.reason}")
