"""The load: who asks for what and when, and each kind in words."""

from pathlib import PurePath
from typing import Self

import msgspec

from .message import Part
from .wording import counted


class RampSpec(Part, frozen=True, kw_only=True):
    """The load grows, or shrinks, evenly from `start` to its `users` or `rate_per_s`, which it
    reaches `seconds` after it began."""

    start: float
    seconds: float


class BurstSpec(Part, frozen=True, kw_only=True):
    """For `seconds` at a time requests arrive at `rate_per_s`: at once, and then every `every_s`.
    Between them the load's own rate holds, which may be 0."""

    rate_per_s: float
    seconds: float
    every_s: float


class TraceSpec(Part, frozen=True, kw_only=True):
    """A recorded trace as the load: its arrivals and lengths, `speed` times as fast.

    `start_s`: what comes before it, in the trace's own time, is left out. `most_requests`: only so
    many are played. `loop`: then again from the start, with new prompts, without end.
    """

    path: str
    speed: float = 1.0
    loop: bool = False
    start_s: float = 0.0
    most_requests: int | None = None

    @property
    def name(self) -> str:
        """The file's name without its folder."""
        return PurePath(self.path).name


class LoadSpec(Part, frozen=True, kw_only=True):
    """The load that the built-in generator puts on the engine.

    Closed loop: `users` clients, each with one request in the system and `think_s` between them.
    Open loop: arrivals at `rate_per_s`; `burstiness` is the gamma shape (1 is Poisson, below 1
    burstier, above 1 smoother). `rate_per_s` set means open loop. A `trace` takes the place of
    both: its own arrivals and lengths, in an open loop.
    """

    users: int = 8
    think_s: float = 0.0
    rate_per_s: float | None = None
    burstiness: float = 1.0
    ramp: RampSpec | None = None
    """Of the users, or of the rate where there is one."""
    burst: BurstSpec | None = None
    """Of an open loop."""
    trace: TraceSpec | None = None
    zipf_exponent: float = 1.1
    output_tokens_min: int = 16
    output_tokens_max: int = 96
    prompt_tokens_min: int | None = None
    """Prompts cut or joined to a length drawn from min … max; `None`: the prompts as they are."""
    prompt_tokens_max: int | None = None
    temperature: float = 0.8
    top_p: float = 0.95
    fixed_seed_share: float = 0.25
    """Share of sampled requests that repeat exactly when their prompt does, as a client with a
    fixed seed does; the others are sampled anew each time. Greedy requests always repeat."""
    ignore_eos: bool = False
    chat: bool = False
    """Prompts go through the model's chat template, as a system's and a user's turn."""
    max_waiting: int = 10_000
    """Open loop: the most requests that wait; what arrives then is rejected."""
    max_waiting_mib: float = 256.0
    """Open loop: the most of the host's memory that waiting requests take, likewise."""
    seed: int = 0
    paused: bool = False
    """No request comes, and the rest is kept for when there is load again."""

    @property
    def is_open(self) -> bool:
        """Whether requests arrive without waiting for answers."""
        return self.trace is not None or self.rate_per_s is not None

    @property
    def amount(self) -> float:
        """How much of its kind: users, requests a second, or how fast a trace is played."""
        if self.trace is not None:
            return self.trace.speed
        return self.users if self.rate_per_s is None else self.rate_per_s

    def with_amount(self, amount: float) -> Self:
        """The same load with more or less of its kind, and not paused."""
        if self.trace is not None:
            trace = msgspec.structs.replace(self.trace, speed=amount)
            return msgspec.structs.replace(self, trace=trace, paused=False)
        if self.rate_per_s is not None:
            return msgspec.structs.replace(self, rate_per_s=amount, paused=False)
        return msgspec.structs.replace(self, users=int(amount), paused=False)


def describe_load(load: LoadSpec) -> str:
    """`32 users` of a closed loop, `2.5/s` of an open one, `no load`, or in as few words what
    ramps, bursts or traces do."""
    if load.paused:
        return "no load"
    if load.trace is not None:
        return describe_trace(load.trace)
    amount = counted(load.users, "user") if load.rate_per_s is None else f"{load.rate_per_s:g}/s"
    if load.ramp is not None:
        unit = "" if load.rate_per_s is None else "/s"
        return f"{load.ramp.start:g}{unit} → {amount} in {load.ramp.seconds:g} s"
    if load.burst is not None:
        burst = load.burst
        bursts = f"{burst.rate_per_s:g}/s for {burst.seconds:g} of {burst.every_s:g} s"
        return f"{amount}, {bursts}" if load.rate_per_s else bursts
    return amount


def describe_trace(trace: TraceSpec) -> str:
    """`trace conv.csv ×2`, with `looped` where it is."""
    return f"trace {trace.name} ×{trace.speed:g}{' looped' if trace.loop else ''}"


class TraceProgress(Part, frozen=True, kw_only=True):
    """How far a trace is that is played: `arrived` of its `entries` in this `round`, from 1.

    `clipped_prompts`, `clipped_outputs`: requests that were made shorter, to fit into the context.
    """

    entries: int
    arrived: int
    round: int = 1
    clipped_prompts: int = 0
    clipped_outputs: int = 0

    @property
    def fraction(self) -> float:
        """How much of this round has arrived, from 0 to 1."""
        return self.arrived / self.entries if self.entries else 1.0


class TraceRecording(Part, frozen=True, kw_only=True):
    """A trace that is written down: how many requests it has; `stopped`: why it has no more."""

    path: str
    requests: int
    stopped: str | None = None
