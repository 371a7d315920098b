"""What is told once, as it happens: by the worker, and by the client about its children."""

from .message import Message, Part
from .model_info import ModelInfo
from .settings import PrecisionName, StrategyName


class Ready(Message, frozen=True, kw_only=True):
    """The engine serves. `load_s` is the time from process start to here."""

    model: ModelInfo
    device: str
    device_name: str
    load_s: float
    versions: dict[str, str]


class Progress(Message, frozen=True, kw_only=True):
    """A long step under way: `fraction` is `None` where it cannot be known."""

    what: str
    fraction: float | None = None


class Switched(Message, frozen=True, kw_only=True):
    """A switch took effect: the charts mark this moment."""

    kind: str
    """`strategy`, `precision`, `speculation` or `load`."""
    old: str
    new: str
    at_s: float
    took_s: float


class FinishedRequest(Part, frozen=True, kw_only=True):
    """One finished request, as its client saw it. `None`: an attached server does not tell it."""

    request_id: int
    strategy: StrategyName | None
    precision: PrecisionName | None
    prompt_tokens: int | None
    output_tokens: int | None
    finish_reason: str
    """`stop` or `length`; of one that failed, why in a word or two."""
    failed: bool = False
    """Its client did not get the whole answer."""
    arrival_at_s: float
    e2e_ms: float
    ttfb_ms: float
    queue_ms: float | None = None
    ttft_ms: float | None = None
    tpot_ms: float | None = None
    cached_prompt_tokens: int | None = 0
    from_response_cache: bool = False
    preemptions: int = 0


class FinishedSample(Message, frozen=True, kw_only=True):
    """Requests that ended since the last frame; of a burst those that failed or took longest."""

    requests: list[FinishedRequest]
    left_out: int = 0
    """How many more ended."""


class Fault(Message, frozen=True, kw_only=True):
    """Something went wrong. `fatal`: the sender is about to end, and `exit_code` says how."""

    message: str
    fatal: bool = False
    exit_code: int = 1


class Crash(Message, frozen=True, kw_only=True):
    """An unexpected error is about to end the sender. The client makes it the reason of the
    `ChildDied` that follows; nobody else sees it."""

    reason: str


class Note(Message, frozen=True, kw_only=True):
    """A line for the event log that is no fault: a refused switch, a full queue.

    `by_user`: the user wrote it, to find the moment again.
    """

    message: str
    by_user: bool = False


class ChildDied(Message, frozen=True, kw_only=True):
    """A child process ended unasked; `failed_requests` were in the system and count as failed."""

    child: str
    """`worker`, `probe` or `server`."""
    reason: str
    failed_requests: int = 0
    restart_in_s: float | None = None
    """`None`: it will not be restarted."""
    repeats: int = 1
    """How often it has ended for this reason without getting well in between."""
    given_up: bool = False
    """It is not restarted until `StartAgain` is sent."""
    log: str | None = None
    """The file with what it printed, where that helps and could be written."""


class ChildStarted(Message, frozen=True, kw_only=True):
    """A child process was started; `attempt` counts from 1."""

    child: str
    pid: int
    attempt: int
