"""The messages that cross process boundaries.

The screen knows these types and nothing else of the engine. Each is a msgspec struct, tagged by
its name, sent as length-prefixed msgpack. `None` means "this engine cannot say": a reader
shows `--` for it and never zero.

Two clocks: `*_at_s` fields are on the sender's monotonic clock; `wall_s` is Unix time.
Rates are per second over the sender's last `RATE_SPAN_S`, unless a field says otherwise.
"""

from enum import StrEnum

import msgspec

RATE_SPAN_S = 1.0
FRAME_INTERVAL_S = 0.1
PROBE_INTERVAL_S = 0.25


class StrategyName(StrEnum):
    """The serving strategies, in the order of their keys 1 … 6."""

    SINGLE = "single"
    BATCHED = "batched"
    CONTINUOUS = "continuous"
    CACHED = "cached"
    STREAMING = "streaming"
    HYBRID = "hybrid"


class PrecisionName(StrEnum):
    """The precisions, in the order in which `[` and `]` walk through them."""

    FP32 = "fp32"
    BF16 = "bf16"
    FP16 = "fp16"
    INT8 = "int8"
    INT4 = "int4"
    FP8 = "fp8"


class Window(StrEnum):
    """The spans over which percentiles and windowed rates are taken."""

    S10 = "10s"
    M1 = "1m"
    M5 = "5m"
    SESSION = "session"


WINDOW_SECONDS: dict[Window, float] = {
    Window.S10: 10.0,
    Window.M1: 60.0,
    Window.M5: 300.0,
    Window.SESSION: float("inf"),
}


class Message(msgspec.Struct, frozen=True, kw_only=True, tag=True, omit_defaults=True):
    """What every message derives from; the tag is the class name."""


class Part(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A piece of a message."""


# Load


class LoadSpec(Part, frozen=True, kw_only=True):
    """The load that the built-in generator puts on the engine.

    Closed loop: `users` clients, each with one request in the system and `think_s` between them.
    Open loop: arrivals at `rate_per_s`; `burstiness` is the gamma shape (1 is Poisson, below 1
    burstier, above 1 smoother). `rate_per_s` set means open loop.
    """

    users: int = 8
    think_s: float = 0.0
    rate_per_s: float | None = None
    burstiness: float = 1.0
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
    seed: int = 0
    paused: bool = False


# Speculative decoding


class SpeculationSpec(Part, frozen=True, kw_only=True):
    """Drafts of up to `drafts` tokens a step of each request, which change no output.

    They are what followed the last `ngram_longest` … `ngram_shortest` tokens when those came up
    before, or what `draft_model` says: the name of one that the engine was started with.
    `adaptive`: rest while they lose, and measure by turns whether they do.
    """

    drafts: int = 4
    draft_model: str | None = None
    ngram_shortest: int = 2
    ngram_longest: int = 4
    adaptive: bool = True


# Worker to screen: the frame


class ShapeInfo(Part, frozen=True, kw_only=True):
    """What a transformer's layers look like, as its `config.json` says it."""

    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    head_dim: int
    tied_embeddings: bool = False
    qkv_bias: bool = False


class ModelInfo(Part, frozen=True, kw_only=True):
    """The model being served. `name` comes from outside and is stripped of control characters.

    `shape` is `None` where the engine does not say it.
    """

    name: str
    parameters: int
    layers: int
    context_tokens: int
    vocabulary: int
    shape: ShapeInfo | None = None


class PrecisionStatus(Part, frozen=True, kw_only=True):
    """Whether this device runs a precision. `reason` says why not; `None` when it does."""

    name: PrecisionName
    reason: str | None = None


class Throughput(Part, frozen=True, kw_only=True):
    """Tokens and requests per second, kinds kept apart.

    `cached_tok_s`: prompt tokens taken from the prefix cache plus output tokens served from the
    response cache. `decode_tok_s` counts generated tokens only, not cached ones.
    """

    prefill_tok_s: float
    decode_tok_s: float
    cached_tok_s: float
    requests_per_s: float
    arrivals_per_s: float
    steps_per_s: float
    mean_batch_rows: float | None = None
    batch_waste: float | None = None
    """Rows computed for finished sequences over rows computed, over the rate span."""


class Percentiles(Part, frozen=True, kw_only=True):
    """A latency distribution in milliseconds; `count` is how many samples it stands on."""

    count: int
    mean_ms: float
    p50_ms: float
    p95_ms: float
    p99_ms: float


class Latency(Part, frozen=True, kw_only=True):
    """The six latencies over one window; `None` where the window holds no sample."""

    ttft: Percentiles | None = None
    ttfb: Percentiles | None = None
    tpot: Percentiles | None = None
    itl: Percentiles | None = None
    e2e: Percentiles | None = None
    queue: Percentiles | None = None


class Blocks(Part, frozen=True, kw_only=True):
    """KV blocks by what holds them; the three parts add up to `total`."""

    total: int
    running: int
    """Held by at least one running request."""
    evictable: int
    """Cached prefix blocks that no running request holds."""
    free: int
    block_tokens: int


class HitRates(Part, frozen=True, kw_only=True):
    """Hits over lookups; `None` where nothing was looked up or the strategy has no such cache."""

    response: float | None = None
    prefix: float | None = None
    """Hit tokens over queried prompt tokens."""


class Cache(Part, frozen=True, kw_only=True):
    """The state of the KV cache, the prefix cache and the response cache."""

    blocks: Blocks
    rates: dict[Window, HitRates]
    response_entries: int | None = None
    response_bytes: int | None = None
    response_limit_bytes: int | None = None
    note: str | None = None
    """Why a rate is what it is, when that is not obvious (a prefix shorter than one block)."""


class Queue(Part, frozen=True, kw_only=True):
    """Requests in the system, and Little's law over the last ten seconds.

    `mean_in_system` is the time average L; `arrival_rate_times_residence` is λ·W of the requests
    that ended in the span. In steady state they agree.
    """

    running: int
    waiting: int
    mean_in_system: float | None = None
    arrival_rate_times_residence: float | None = None
    preemptions: int = 0


class Accounting(Part, frozen=True, kw_only=True):
    """Requests since the session began: submitted = finished + failed + in system, always."""

    submitted: int = 0
    finished: int = 0
    failed: int = 0
    in_system: int = 0


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
    """What captured graphs of decode steps hold; `None` where none were captured."""
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


class Speculation(Part, frozen=True, kw_only=True):
    """What speculative decoding does, and whether it pays.

    `acceptance`: drafts that were right over drafts, in the last ten seconds. The other two are of
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


class Summary(Part, frozen=True, kw_only=True):
    """What one strategy and precision did over a span: one side of a switch's effect."""

    decode_tok_s: float
    memory_bytes: int
    ttft_p95_ms: float | None = None
    ttfb_p95_ms: float | None = None
    tpot_p95_ms: float | None = None


class SwitchEffect(Part, frozen=True, kw_only=True):
    """The last switch of strategy or precision: what was before, and what is since.

    `after` is `None` until enough was seen since the switch for a fair comparison.
    """

    kind: str
    """`strategy`, `precision`, `speculation` or `load`."""
    old: str
    new: str
    at_s: float
    before: Summary | None = None
    after: Summary | None = None


class Frame(Message, frozen=True, kw_only=True):
    """Everything the engine knows at one moment: complete in itself, and serializable."""

    sequence: int
    at_s: float
    wall_s: float
    uptime_s: float
    model: ModelInfo
    device: str
    device_name: str
    strategy: StrategyName
    precision: PrecisionName
    precisions: list[PrecisionStatus]
    load: LoadSpec
    throughput: Throughput
    latency: dict[Window, Latency]
    cache: Cache
    queue: Queue
    accounting: Accounting
    memory: Memory
    roofline: Roofline
    max_seqs: int
    switching: str | None = None
    """The switch that begins now, in words: `bf16 → int8: packing weights`. No frame comes during
    it."""
    last_switch: SwitchEffect | None = None
    stream: StreamView | None = None
    generated_tokens_total: int = 0
    speculation: Speculation | None = None


# Worker to screen: events


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
    """One finished request, as its client saw it."""

    request_id: int
    strategy: StrategyName
    precision: PrecisionName
    prompt_tokens: int
    output_tokens: int
    finish_reason: str
    """`stop`, `length` or `aborted`."""
    arrival_at_s: float
    e2e_ms: float
    ttfb_ms: float
    queue_ms: float | None = None
    ttft_ms: float | None = None
    tpot_ms: float | None = None
    cached_prompt_tokens: int = 0
    from_response_cache: bool = False


class FinishedSample(Message, frozen=True, kw_only=True):
    """Some of the requests that finished since the last frame, never all of a burst."""

    requests: list[FinishedRequest]


class Fault(Message, frozen=True, kw_only=True):
    """Something went wrong. `fatal`: the sender is about to end, and `exit_code` says how."""

    message: str
    fatal: bool = False
    exit_code: int = 1


class Note(Message, frozen=True, kw_only=True):
    """A line for the event log that is no fault: a refused switch, a full queue."""

    message: str


# Bench


class BenchSpec(Part, frozen=True, kw_only=True):
    """Which cells to run and under which load; `load.seed` decides all that is drawn."""

    strategies: list[StrategyName]
    precisions: list[PrecisionName]
    requests: int
    load: LoadSpec
    warmup: int = 0


class Distribution(Part, frozen=True, kw_only=True):
    """A latency in milliseconds over the requests of one cell."""

    mean: float
    p50: float
    p95: float
    p99: float


class CellMemory(Part, frozen=True, kw_only=True):
    """Bytes of one cell. `peak_bytes` is the largest the process held on the device."""

    weights_bytes: int
    kv_bytes: int
    peak_bytes: int | None = None


class CellResult(Message, frozen=True, kw_only=True):
    """One measured cell: the object that `prodtop bench --json` prints, a line each."""

    model: str
    device: str
    strategy: StrategyName
    precision: PrecisionName
    requests: int
    failed: int
    duration_s: float
    output_tok_s: float
    total_tok_s: float
    req_s: float
    ttft_ms: Distribution | None
    ttfb_ms: Distribution | None
    tpot_ms: Distribution | None
    itl_ms: Distribution | None
    e2e_ms: Distribution | None
    queue_ms: Distribution | None
    batch_waste: float | None
    response_hit_rate: float | None
    prefix_hit_rate: float | None
    draft_acceptance_rate: float | None
    """Of speculative decoding: drafts that were right over drafts."""
    memory: CellMemory
    mbu: float | None
    mfu: float | None
    energy_j: float | None
    output_sha256: str
    """Over the output token ids of all requests in order of submission: equal means identical."""
    versions: dict[str, str]


class CellSkipped(Message, frozen=True, kw_only=True):
    """A cell that this device cannot run, with the reason."""

    strategy: StrategyName
    precision: PrecisionName
    reason: str


class BenchDone(Message, frozen=True, kw_only=True):
    """All cells of a bench have been reported."""


# Screen to worker


class SetStrategy(Message, frozen=True, kw_only=True):
    """Serve under another strategy from the next step on."""

    name: StrategyName


class SetPrecision(Message, frozen=True, kw_only=True):
    """Serve at another precision: running requests are resumed under the new weights."""

    name: PrecisionName


class SetLoad(Message, frozen=True, kw_only=True):
    """Replace the load from now on; requests in the system stay."""

    load: LoadSpec


class SetSpeculation(Message, frozen=True, kw_only=True):
    """Draft tokens from the next step on, or not at all."""

    spec: SpeculationSpec | None


class RunBench(Message, frozen=True, kw_only=True):
    """Measure cells; the live load stops meanwhile."""

    spec: BenchSpec


class Shutdown(Message, frozen=True, kw_only=True):
    """End cleanly."""


# Probe to screen


class GpuSample(Part, frozen=True, kw_only=True):
    """One GPU as NVML sees it. A counter that the card or the container refuses is `None`."""

    index: int
    uuid: str
    name: str
    memory_used_bytes: int | None = None
    memory_total_bytes: int | None = None
    process_bytes: int | None = None
    """What NVML says the engine's process holds."""
    utilization: float | None = None
    """Fraction of the last sample period with a kernel running."""
    memory_utilization: float | None = None
    power_w: float | None = None
    power_limit_w: float | None = None
    temperature_c: float | None = None
    sm_clock_mhz: int | None = None
    memory_clock_mhz: int | None = None
    pcie_rx_bytes_s: float | None = None
    pcie_tx_bytes_s: float | None = None
    energy_j: float | None = None
    """NVML's counter since the driver was loaded."""
    throttle: str | None = None
    """Why the clocks are held down, when they are."""


class HostSample(Message, frozen=True, kw_only=True):
    """The machine at one moment. `gpu_note` says why there is no GPU to show."""

    at_s: float
    wall_s: float
    hostname: str
    cpu_count: int
    cpu_utilization: float
    """Fraction of all cores."""
    memory_used_bytes: int
    memory_total_bytes: int
    cpu_name: str = ""
    worker_cpu_utilization: float | None = None
    """Cores in use by the engine's process (1.0 is one core)."""
    worker_rss_bytes: int | None = None
    gpus: list[GpuSample] = []
    gpu_note: str | None = None
    driver_version: str | None = None


class WatchProcess(Message, frozen=True, kw_only=True):
    """Screen to probe: the engine's process is this one now."""

    pid: int


# Made by the client about its children


class ChildDied(Message, frozen=True, kw_only=True):
    """A child process ended unasked; `failed_requests` were in the system and count as failed."""

    child: str
    """`worker` or `probe`."""
    reason: str
    failed_requests: int = 0
    restart_in_s: float | None = None
    """`None`: it will not be restarted."""


class ChildStarted(Message, frozen=True, kw_only=True):
    """A child process was started; `attempt` counts from 1."""

    child: str
    pid: int
    attempt: int


Command = SetStrategy | SetPrecision | SetLoad | SetSpeculation | RunBench | Shutdown | WatchProcess
Event = (
    Ready
    | Progress
    | Switched
    | FinishedSample
    | Fault
    | Note
    | CellResult
    | CellSkipped
    | BenchDone
    | ChildDied
    | ChildStarted
)
Report = Frame | HostSample | Event

ENCODER = msgspec.msgpack.Encoder()
REPORT_DECODER: msgspec.msgpack.Decoder[Report] = msgspec.msgpack.Decoder(Report)
COMMAND_DECODER: msgspec.msgpack.Decoder[Command] = msgspec.msgpack.Decoder(Command)
