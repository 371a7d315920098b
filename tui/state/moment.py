"""What the screen knows at one moment: the immutable value that every panel draws from."""

from dataclasses import dataclass, field, replace
from enum import Enum

from ...engine.protocol import (
    Averages,
    ChildDied,
    ChildStarted,
    EngineChanges,
    Event,
    Fault,
    Frame,
    HostSample,
    LoadSpec,
    PrecisionName,
    Progress,
    Ready,
    ServerBack,
    ServerDown,
    StrategyName,
    Window,
)
from ...engine.protocol.wording import counted
from .billing import NO_BILLING, Billing
from .compare import NO_COMPARE, Compare
from .condition import UNKNOWN, Health
from .production import NO_PRODUCTION, Production
from .quality import NO_QUALITY, Quality
from .requests import NO_REQUESTS, Requests
from .server import Server
from .speeds import NO_SPEEDS, Speeds

STALE_AFTER_S = 2.0
"""Figures older than this are marked as stale."""


class Phase(Enum):
    """What the engine's process is doing."""

    STARTING = "starting"
    SERVING = "serving"
    DEAD = "dead"
    """It ended unasked, and is about to be restarted, or never will be."""


@dataclass(frozen=True, slots=True)
class WorkerState:
    """The engine's process as its events tell it. Times are on the screen's monotonic clock."""

    phase: Phase = Phase.STARTING
    doing: str = "the engine"
    fraction: float | None = None
    reason: str = ""
    failed_requests: int = 0
    restart_at_s: float | None = None
    """`None` while dead: it stays dead."""
    attempt: int = 1
    hint: str = ""
    """How to start it again, where it was given up."""
    watched: bool = False
    """It is another's server, which is not started but asked again."""
    load_s: float | None = None
    """How long the last start took."""


def after_event(state: WorkerState, event: Event, now_s: float) -> WorkerState:
    """The state that follows `state` once `event` has come in."""
    match event:
        case Ready(load_s=load_s):
            return WorkerState(Phase.SERVING, load_s=load_s, attempt=state.attempt)
        case Progress(what=what, fraction=fraction) if state.phase is Phase.STARTING:
            return replace(state, doing=what, fraction=fraction)
        case ChildStarted(child="worker", attempt=attempt) if attempt > 1:
            # What happened stays in sight until the engine serves again.
            return replace(
                state,
                phase=Phase.STARTING,
                doing="the engine again",
                fraction=None,
                attempt=attempt,
            )
        case ChildDied(child="worker") as died:
            restart_at_s = None if died.restart_in_s is None else now_s + died.restart_in_s
            return WorkerState(
                Phase.DEAD,
                reason=died.reason,
                failed_requests=died.failed_requests,
                restart_at_s=restart_at_s,
                attempt=state.attempt,
            )
        case ServerDown(reason=reason, retry_in_s=retry_s):
            return WorkerState(
                Phase.DEAD, reason=reason, restart_at_s=now_s + retry_s, watched=True
            )
        case ServerBack():
            return WorkerState(Phase.SERVING)
        case Fault(message=message, fatal=True):
            return WorkerState(Phase.DEAD, reason=message, attempt=state.attempt)
        case _:
            return state


@dataclass(frozen=True, slots=True)
class Pending:
    """What was asked for and has not taken effect yet; and the precision that `[` `]` stand on,
    which may be one that this device cannot run."""

    strategy: StrategyName | None = None
    precision: PrecisionName | None = None
    load: LoadSpec | None = None
    tried: PrecisionName | None = None
    anew: EngineChanges = field(default_factory=EngineChanges)
    """What the engine is to be started anew with, once that is asked for."""


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of the event log. `kind` is `info` (nothing happened: a key was answered), `switch`,
    `sweep`, `fault`, `restart`, `alert` or `note`.

    `wall_s` is on the clock of the history; `clock_shift_s` how far the time of day was from it.
    """

    wall_s: float
    text: str
    kind: str = "info"
    clock_shift_s: float = 0.0


class MarkKind(Enum):
    """What goes on beside what is shown."""

    RECORDING = "recording"
    PLAYING = "playing"
    HALTED = "halted"
    """A recording is shown, and stands still."""
    KEPT = "kept"
    """A snapshot is shown: one moment."""


@dataclass(frozen=True, slots=True)
class SessionMark:
    """That the session is recorded, or that a recording is shown: for how long, or what of it."""

    kind: MarkKind
    time_s: float
    speed: float | None = None


@dataclass(frozen=True, slots=True)
class Moment:
    """Everything a panel may show, live or from the history.

    `wall_s` is the time that the panels speak of, on the clock of the history; `behind_s` how long
    ago that was when the display is paused, else `None`. `clock_shift_s` leads from there to the
    time of day: not 0 where the wall clock was set since the session began.
    """

    wall_s: float
    now_s: float
    frame: Frame | None = None
    host: HostSample | None = None
    worker: WorkerState = WorkerState()
    window: Window = Window.M1
    pending: Pending = Pending()
    log: tuple[LogLine, ...] = ()
    answer: LogLine | None = None
    """What the last key was answered, just now, whatever time the panels speak of."""
    behind_s: float | None = None
    frame_age_s: float | None = None
    host_age_s: float | None = None
    joules_per_token: float | None = None
    clock_shift_s: float = 0.0
    requests: Requests = NO_REQUESTS
    """Single requests, those in the system and the last that ended."""
    gpu_lost_s: float | None = None
    """Since when the driver has not listed the engine's GPU, which it did before."""
    dropped_share: float = 0.0
    """Of the engine's last frames, those that never came here: the screen took them too slowly."""
    health: Health = UNKNOWN
    compare: Compare = NO_COMPARE
    load_curve: Compare = NO_COMPARE
    """What is served, measured under several loads."""
    billing: Billing = NO_BILLING
    production: Production = NO_PRODUCTION
    """Targets and alerts as they are now, also while the display is paused."""
    quality: Quality = NO_QUALITY
    """As it is now, also while the display is paused."""
    speeds: Speeds = NO_SPEEDS
    server: Server | None = None
    """As it is now; `None` where there is none."""
    mark: SessionMark | None = None

    @property
    def paused(self) -> bool:
        return self.behind_s is not None

    @property
    def averages(self) -> Averages | None:
        """What headlines show of the chosen window; `None` before the first figures."""
        return self.frame.averages.get(self.window) if self.frame else None

    @property
    def stale_s(self) -> float | None:
        """The age of the engine's figures when they cannot pass for current."""
        if self.paused or self.frame is None or self.frame_age_s is None:
            return None
        old = self.frame_age_s > STALE_AFTER_S or self.worker.phase is not Phase.SERVING
        return self.frame_age_s if old else None


def died_text(event: ChildDied, retry_key: str = "") -> str:
    """A child's death as the event log says it, as it was when it happened."""
    failed = f": {requests_failed(event.failed_requests)}" if event.failed_requests else ""
    after = "" if event.restart_in_s is None else f", {restart_text(event.restart_in_s)}"
    given_up = f"; {given_up_text(event, retry_key)}" if event.given_up else ""
    log = f"; log: {event.log}" if event.log is not None else ""
    return f"{event.child} {event.reason}{failed}{after}{given_up}{log}"


def given_up_text(event: ChildDied, retry_key: str) -> str:
    """Why it is not started again, and the key that does it."""
    key = retry_key or "'start again' in the palette"
    return f"{event.repeats} times the same, given up: {key} tries again"


def unready_text(worker: WorkerState) -> str:
    """Why an engine that does not serve cannot be asked for anything."""
    if worker.phase is Phase.STARTING:
        return "not yet: the engine is starting"
    if worker.watched:
        return f"the server does not answer: {worker.reason}"
    if worker.restart_at_s is not None:
        return "not yet: the engine is down, and will be started again"
    return f"there is no engine: {worker.hint or worker.reason}"


def retry_text(worker: WorkerState, now_s: float) -> str:
    """When a dead engine is started again, or a server that does not answer asked again."""
    wait_s = max(0.0, (worker.restart_at_s or now_s) - now_s)
    if worker.watched:
        return f"asked again in {wait_s:.0f} s" if wait_s >= 1 else "asked again now"
    return restart_text(wait_s)


def restart_text(wait_s: float) -> str:
    """`restarting in 4 s`, and below a second `restarting at once`."""
    return f"restarting in {wait_s:.0f} s" if wait_s >= 1 else "restarting at once"


def requests_failed(number: int) -> str:
    return f"{counted(number, 'request')} failed"
