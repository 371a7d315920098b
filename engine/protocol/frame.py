"""The frame: all that the worker tells of one moment, and the parts that it is made of."""

from enum import StrEnum

from .attached import Attached
from .effect import Summary, SwitchEffect
from .load import LoadSpec, TraceProgress, TraceRecording
from .message import Message, Part
from .model_info import ModelInfo, PrecisionStatus
from .settings import PrecisionName, SpeculationSpec, StrategyName
from .slo import Attainment, SloSpec
from .usage import Usage
from .verdict import AdmissionCounts, Verdict

FRAME_INTERVAL_S = 0.1
RATE_SPAN_S = 1.0
"""The time over which rates are taken."""
TREND_SPAN_S = 10.0
"""The time over which it is said whether something grows."""


class Window(StrEnum):
    """The spans over which percentiles and windowed rates are taken."""

    S10 = "10s"
    M1 = "1m"
    M5 = "5m"
    SESSION = "session"
    SWITCH = "since switch"
    """Since the last switch of strategy, precision, drafts or load; before one, the session."""


WINDOW_SECONDS: dict[Window, float] = {
    Window.S10: 10.0,
    Window.M1: 60.0,
    Window.M5: 300.0,
    Window.SESSION: float("inf"),
}
"""The windows of a known length: all but the one that a switch begins."""


LATENCY_EDGES_PER_DECADE = 6
LATENCY_EDGES_MS: tuple[float, ...] = tuple(
    10 ** (place / LATENCY_EDGES_PER_DECADE - 1)
    for place in range(7 * LATENCY_EDGES_PER_DECADE + 1)
)
"""From 0.1 ms to 1,000 s, evenly on a logarithmic axis."""


class Throughput(Part, frozen=True, kw_only=True):
    """Tokens and requests per second, kinds kept apart.

    `cached_tok_s`: prompt tokens taken from the prefix cache plus output tokens served from the
    response cache. `decode_tok_s` counts generated tokens only, not cached ones.
    """

    prefill_tok_s: float | None
    decode_tok_s: float | None
    cached_tok_s: float | None
    requests_per_s: float | None
    arrivals_per_s: float | None
    """Rejected requests too: they came."""
    rejected_per_s: float | None = 0.0
    steps_per_s: float | None
    mean_batch_rows: float | None = None
    batch_waste: float | None = None
    """Rows computed for finished sequences over rows computed, over the rate span."""


class Averages(Part, frozen=True, kw_only=True):
    """What the headlines show of one window: means over its whole time."""

    decode_tok_s: float | None
    requests_per_s: float | None
    mbu: float | None = None
    mfu: float | None = None


class Percentiles(Part, frozen=True, kw_only=True):
    """A latency distribution in milliseconds; `count` is how many samples it stands on.

    Of an attached engine's buckets less is known. `below_ms`: percentiles of this value are only
    known to be below it, in the first bucket. `above_ms`: percentiles of this value are only known
    to be at least as much, beyond the last one. A percentile that is `None`: only the mean is
    told. A mean that is `None`: the engine's export has the buckets alone.
    """

    count: int
    mean_ms: float | None
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    below_ms: float | None = None
    above_ms: float | None = None


class Latency(Part, frozen=True, kw_only=True):
    """The six latencies over one window; `None` where the window holds no sample."""

    ttft: Percentiles | None = None
    ttfb: Percentiles | None = None
    tpot: Percentiles | None = None
    itl: Percentiles | None = None
    e2e: Percentiles | None = None
    queue: Percentiles | None = None


class LatencyCounts(Part, frozen=True, kw_only=True):
    """How many requests had which latency since the session began: counts that only grow.

    Two frames tell the distribution between them. Entry 0 counts what is below
    `LATENCY_EDGES_MS[0]`, entry i what is from edge i − 1 up to edge i, the last one the rest.
    """

    ttft: list[int]
    tpot: list[int]
    e2e: list[int]


class Queue(Part, frozen=True, kw_only=True):
    """Requests in the system, and Little's law over the last ten seconds.

    `mean_in_system` is the time average L; `arrival_rate_times_residence` is λ·W of the requests
    that ended in the span; neither counts time in which the engine stood still. In steady state
    they agree; `unsteady` says that they do not.
    """

    running: int | None
    waiting: int | None
    mean_in_system: float | None = None
    arrival_rate_times_residence: float | None = None
    unsteady: bool = False
    preemptions: int | None = 0
    running_limit: int | None = None
    """The most that the strategy runs at once."""
    mean_waiting: float | None = None
    """The mean of `waiting` over `TREND_SPAN_S`."""
    waiting_per_s: float | None = None
    """By how many a second the waiting ones became more, over `TREND_SPAN_S`."""
    oldest_unstarted_s: float | None = None
    """Since the oldest request without a first token arrived; `None` where every one has its."""


class Accounting(Part, frozen=True, kw_only=True):
    """Requests since the session began: submitted = finished + failed + in system, always.

    `rejected` found the queue of an open loop full: they were never submitted, and are in no
    latency. `refused`: of those that failed, how many could not be queued, by reason.
    """

    submitted: int = 0
    finished: int = 0
    failed: int = 0
    in_system: int = 0
    rejected: int = 0
    refused: dict[str, int] = {}


class StreamView(Part, frozen=True, kw_only=True):
    """One request, followed on the screen. `text` is what its client has received so far."""

    request_id: int
    prompt: str
    text: str
    generated_tokens: int
    max_tokens: int
    finished: bool
    held: bool
    """The strategy delivers at the end: tokens are generated, but none was delivered yet."""
    from_cache: bool = False
    served: bool = False
    """It came over the server: neither its prompt nor its text is told here."""


class Blocks(Part, frozen=True, kw_only=True):
    """KV blocks by what holds them; the parts add up to `total`."""

    total: int
    running: int
    """Held by at least one running request."""
    evictable: int | None
    """Cached prefix blocks that no running request holds; `None` where they are counted as free."""
    free: int
    block_tokens: int


class HitRates(Part, frozen=True, kw_only=True):
    """Hits over lookups; `None` where nothing was looked up or the strategy has no such cache."""

    response: float | None = None
    prefix: float | None = None
    """Hit tokens over queried prompt tokens."""


class Cache(Part, frozen=True, kw_only=True):
    """The state of the KV cache, the prefix cache and the response cache."""

    blocks: Blocks | None
    """`None` where only the share of them that is in use is told, or not even that."""
    usage: float | None = None
    """Of an attached engine that does not tell its blocks: the share of them in use, 0 to 1."""
    rates: dict[Window, HitRates]
    response_entries: int | None = None
    response_bytes: int | None = None
    response_limit_bytes: int | None = None
    note: str | None = None
    """Why a rate is what it is, when that is not obvious (a prefix shorter than one block)."""


class Memory(Part, frozen=True, kw_only=True):
    """Bytes on the engine's device. The parts add up to `used_bytes`, by construction of `other`.

    `used_bytes` is what the process holds on the device; on a CPU its resident set.
    """

    used_bytes: int
    weights_bytes: int
    head_copy_bytes: int | None = None
    """Of the weights, what a head that is tied to the embedding takes beside it, packed for the
    device; `None` where the two share their storage."""
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


class Roofline(Part, frozen=True, kw_only=True):
    """How much of the device's measured ceilings is used; fractions of 1.

    `active` is the share of time in which requests ran, `busy` that in which the device worked.
    """

    mbu: float | None = None
    mfu: float | None = None
    active: float | None = None
    busy: float | None = None
    verdict: Verdict | None = None


class Speculation(Part, frozen=True, kw_only=True):
    """What speculative decoding does, and whether it pays.

    `acceptance`: accepted drafts over drafts, in the last ten seconds. The other two are of
    the decode steps of the last trial: tokens that a sequence got in a step, 1 without drafts, and
    the time of a step over that of one of as many sequences without drafts.
    """

    spec: SpeculationSpec
    drafting: bool
    """Drafts are made now; else they rest, to compare or because they lose."""
    acceptance: float | None = None
    tokens_per_step: float | None = None
    step_ratio: float | None = None

    @property
    def speedup(self) -> float | None:
        """Tokens per second over those without drafts."""
        if self.tokens_per_step is None or not self.step_ratio:
            return None
        return self.tokens_per_step / self.step_ratio


class Frame(Message, frozen=True, kw_only=True):
    """Everything the engine knows at one moment: complete in itself, and serializable."""

    sequence: int
    at_s: float
    wall_s: float
    uptime_s: float
    model: ModelInfo
    attached: Attached | None = None
    """Where another server is watched: which one, and where its figures come from. `None` of the
    engine that prodtop runs itself, which alone takes commands."""
    device: str
    """`cpu`, `cuda:0` …; empty where it is not known."""
    device_name: str
    gpu_uuid: str | None = None
    """NVML's UUID of the GPU that the engine is on, whatever its number; `None` on a CPU."""
    strategy: StrategyName | None
    precision: PrecisionName | None
    precisions: list[PrecisionStatus]
    load: LoadSpec | None
    """`None` where the load is not prodtop's."""
    throughput: Throughput
    latency: dict[Window, Latency]
    cache: Cache
    queue: Queue
    accounting: Accounting | None
    memory: Memory | None
    roofline: Roofline
    max_seqs: int | None
    """The most sequences that run at once now."""
    built_max_seqs: int | None = None
    """What `max_seqs` can be set to at most without starting the engine anew."""
    switching: str | None = None
    """The switch that begins now, in words: `bf16 → int8: packing weights`. No frame comes during
    it."""
    preparing: str | None = None
    """What is made ready while requests are served without it, in words: `compiling kernels, 9
    left`."""
    last_switch: SwitchEffect | None = None
    steady: Summary | None = None
    """What the settings in use did since the last switch or pause settled; `None` before that."""
    stream: StreamView | None = None
    latency_counts: LatencyCounts | None = None
    latency_counts_since_switch: LatencyCounts | None = None
    """The same of the requests in `Window.SWITCH`; they begin anew with each switch."""
    generated_tokens_total: int | None = 0
    speculation: Speculation | None = None
    slo: SloSpec = SloSpec()
    attainment: dict[Window, Attainment] = {}
    admission: dict[Window, AdmissionCounts] = {}
    averages: dict[Window, Averages] = {}
    usage: dict[Window, Usage] = {}
    dispatch: Percentiles | None = None
    """From arrival to being submitted, of the load's requests over the last minute: the part of
    their latency that the load makes itself."""
    trace: TraceProgress | None = None
    """Where the load is a trace."""
    recording: TraceRecording | None = None
    """The trace of what is served, where one is written."""
