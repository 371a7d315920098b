"""What a key means: from the last frame and what is pending to the command to send.

Pure functions; the app sends what they return.
"""

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, replace

import msgspec

from ...engine.protocol import (
    Command,
    Frame,
    LoadSpec,
    PrecisionName,
    SetLoad,
    SetMaxSeqs,
    SetPrecision,
    SetSpeculation,
    SetStrategy,
    SpeculationSpec,
    StrategyName,
    Window,
    describe_load,
    describe_speculation,
)
from .billing import Billing
from .moment import Pending, WorkerState, unready_text

USER_STEPS = (1, 2, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024)
RATE_STEPS = (0.1, 0.2, 0.5, 1, 1.5, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)
SPEED_STEPS = (0.1, 0.2, 0.5, 1, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000)

WATCHED = "this server is watched, not run: prodtop does not change how it serves"
NO_LOAD = "none of the load is prodtop's: attach with --load to drive some"
NOT_READY = unready_text(WorkerState())


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an action leads to. `say` is a line for the event line where there is one."""

    pending: Pending
    command: Command | None = None
    say: str | None = None
    action: str | None = None
    """What the app is to do besides, as Textual names it."""
    billing: Billing | None = None
    """The prices from now on, where they change."""


def choose_strategy(frame: Frame | None, pending: Pending, name: StrategyName) -> Outcome:
    """Serve under another strategy; asking for the one in use only takes a pending one back."""
    if frame is None:
        return Outcome(pending, say=NOT_READY)
    if frame.attached is not None:
        return Outcome(pending, say=WATCHED)
    if name == (pending.strategy or frame.strategy):
        return Outcome(pending, say=f"{name} is the strategy in use")
    return Outcome(replace(pending, strategy=name), SetStrategy(name=name))


def choose_precision(frame: Frame | None, pending: Pending, name: PrecisionName) -> Outcome:
    """Serve at another precision; one that the device cannot run is tried and says why not."""
    if frame is None:
        return Outcome(pending, say=NOT_READY)
    if frame.attached is not None:
        return Outcome(pending, say=WATCHED)
    status = next((status for status in frame.precisions if status.name == name), None)
    if status is None or status.reason is not None:
        reason = "this engine does not offer it" if status is None else status.reason
        return Outcome(replace(pending, tried=name), say=f"{name}: {reason}")
    if name == (pending.precision or frame.precision):
        return Outcome(replace(pending, tried=None), say=f"{name} is the precision in use")
    return Outcome(replace(pending, precision=name, tried=None), SetPrecision(name=name))


def step_precision(frame: Frame | None, pending: Pending, direction: int) -> Outcome:
    """One precision along the bar, −1 or +1, from where `[` and `]` stand. Nothing is skipped: an
    unavailable one is stood on, says its reason, and the engine stays as it is."""
    if frame is None:
        return Outcome(pending, say=NOT_READY)
    names = list(PrecisionName)
    standing = pending.tried or pending.precision or frame.precision
    if standing is None:
        return Outcome(pending, say=WATCHED)
    index = names.index(standing) + direction
    if not 0 <= index < len(names):
        end = "first" if direction < 0 else "last"
        return Outcome(pending, say=f"{standing} is the {end} precision")
    outcome = choose_precision(frame, pending, names[index])
    # Walking back onto the one in use needs no words.
    return outcome if outcome.command or outcome.pending.tried else replace(outcome, say=None)


def toggle_drafts(frame: Frame | None, pending: Pending, spec: SpeculationSpec) -> Outcome:
    """Speculative decoding off where there is some, else on as `spec` says."""
    if frame is None:
        return Outcome(pending, say=NOT_READY)
    if frame.attached is not None:
        return Outcome(pending, say=WATCHED)
    new_spec = spec if frame.speculation is None else None
    return Outcome(pending, SetSpeculation(spec=new_spec))


def step_load(frame: Frame | None, pending: Pending, direction: int) -> Outcome:
    """More or less load, −1 or +1: users of a closed loop, the rate of an open one, the speed of a
    trace. Below the least is none, and from there the same load comes back."""
    if frame is None:
        return Outcome(pending, say=NOT_READY)
    load = pending.load or frame.load
    if load is None:
        return Outcome(pending, say=NO_LOAD)
    if load.paused and direction < 0:
        return Outcome(pending, say="there is no load: it cannot be less")
    changed = _changed_load(load, direction)
    if changed == load:
        return Outcome(pending, say="this is the highest load")
    return Outcome(replace(pending, load=changed), SetLoad(load=changed))


def set_load_level(frame: Frame | None, pending: Pending, level: float) -> Outcome:
    """The load at a place between none (0) and the highest (1), where the meter was clicked."""
    if frame is None:
        return Outcome(pending, say=NOT_READY)
    load = pending.load or frame.load
    if load is None:
        return Outcome(pending, say=NO_LOAD)
    steps = _steps(load)
    value = steps[max(0, min(len(steps), round(level * len(steps))) - 1)]
    changed = load.with_amount(value)
    return Outcome(replace(pending, load=changed), SetLoad(load=changed))


def _changed_load(load: LoadSpec, direction: int) -> LoadSpec:
    if load.paused:
        return msgspec.structs.replace(load, paused=False)
    changed = load.with_amount(_step(_steps(load), load.amount, direction))
    at_the_least = changed == load and direction < 0
    return msgspec.structs.replace(load, paused=True) if at_the_least else changed


def _steps(load: LoadSpec) -> tuple[float, ...]:
    """What its kind of load is stepped through."""
    if load.trace is not None:
        return SPEED_STEPS
    return USER_STEPS if load.rate_per_s is None else RATE_STEPS


def _step(steps: tuple[float, ...], value: float, direction: int) -> float:
    """The neighbouring step of `value`, which itself need not be one; `value` at the end."""
    index = bisect_right(steps, value) if direction > 0 else bisect_left(steps, value) - 1
    return steps[index] if 0 <= index < len(steps) else value


def load_level(load: LoadSpec) -> float:
    """Where a load stands between none and the highest, 0 … 1, for the meter."""
    if load.paused:
        return 0.0
    steps = _steps(load)
    return min(1.0, bisect_right(steps, load.amount) / len(steps))


def describe_command(command: Command) -> str:
    """What the engine is asked for."""
    match command:
        case SetStrategy(name=strategy):
            return f"asked for {strategy}"
        case SetPrecision(name=precision):
            return f"asked for {precision}"
        case SetLoad(load=load):
            return f"asked for {describe_load(load)}"
        case SetSpeculation(spec=spec):
            return f"asked for {describe_speculation(spec)}"
        case SetMaxSeqs(max_seqs=max_seqs):
            return f"asked for max-seqs {max_seqs}"
        case _:
            return "asked to start again"


def next_window(window: Window) -> Window:
    """The window after this one, round and round."""
    windows = list(Window)
    return windows[(windows.index(window) + 1) % len(windows)]


def settled(pending: Pending, frame: Frame) -> Pending:
    """What is still pending once `frame` has come: what it shows has taken effect."""
    return replace(
        pending,
        strategy=None if pending.strategy == frame.strategy else pending.strategy,
        precision=None if pending.precision == frame.precision else pending.precision,
        load=None if pending.load == frame.load else pending.load,
    )
