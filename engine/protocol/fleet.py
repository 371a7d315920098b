"""A fleet: what each of several watched servers tells at one moment, in a row."""

from .attached import EngineKind
from .frame import Frame
from .message import Message, Part


class Replica(Part, frozen=True, kw_only=True):
    """One server of a fleet. Figures that it does not tell are `None`.

    `node` is the machine it is on, as far as its address or its labels tell; `labels` are what a
    discovery file says of it. Rates are over
    seconds, or over the window of the Prometheus query; `ttft_p95_ms` is over the last minute, and
    `ttft_below_ms` says that it is only known to be below. `down`: why it does not answer.
    """

    name: str
    url: str = ""
    kind: EngineKind = EngineKind.UNKNOWN
    version: str | None = None
    model: str = ""
    node: str = ""
    labels: dict[str, str] = {}
    running: int | None = None
    waiting: int | None = None
    kv_used: float | None = None
    ttft_p95_ms: float | None = None
    ttft_below_ms: float | None = None
    decode_tok_s: float | None = None
    requests_per_s: float | None = None
    prefix_hits: float | None = None
    age_s: float | None = None
    """How old its figures were when the sample was made."""
    stale: bool = False
    """Whether that is more than it should be, as often as it is asked."""
    down: str | None = None


class FleetSample(Message, frozen=True, kw_only=True):
    """All servers of a fleet now. `chosen` is the one whose frames are sent; `note` says what is
    wrong with where the figures come from."""

    at_s: float
    wall_s: float
    replicas: list[Replica]
    chosen: str
    note: str | None = None


class WatchReplica(Message, frozen=True, kw_only=True):
    """Send the frames of this server from now on."""

    name: str


class PastFrames(Message, frozen=True, kw_only=True):
    """What a server told before it was looked at, oldest first: the history begins with it.

    `wall_s` is when this was sent; each frame has its own time.
    """

    wall_s: float
    frames: list[Frame]
