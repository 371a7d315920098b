"""A bench: which cells to measure, and what came out."""

from .load import LoadSpec
from .message import Message, Part
from .settings import PrecisionName, StrategyName
from .usage import Usage


class BenchSpec(Part, frozen=True, kw_only=True):
    """Which cells to run and under which load; `load.seed` decides all that is drawn."""

    strategies: list[StrategyName]
    precisions: list[PrecisionName]
    requests: int
    load: LoadSpec
    warmup: int = 0
    max_seqs: int | None = None
    """The most sequences at once during the bench; `None`: as it is set."""
    drafts: int | None = None
    """Drafts a step of each request during the bench, 0: none; `None`: as it is set."""
    samples: bool = False
    """Tell of every request. Without effect above `MOST_SAMPLED_REQUESTS`."""


MOST_SAMPLED_REQUESTS = 50_000
"""As many samples stay well below a message's bound (`channel.MAX_MESSAGE_BYTES`)."""


class RequestSample(Part, frozen=True, kw_only=True, array_like=True):
    """One request of a cell that was submitted; times count from the cell's first arrival.

    Latencies are `None` where the request has none: a failed one any, one of a single token TPOT, a
    response hit TTFT and TPOT.
    """

    arrival_s: float
    end_s: float
    """When its client had its answer, or it failed."""
    finished: bool
    response_hit: bool
    prompt_tokens: int
    cached_prompt_tokens: int
    """Taken from the prefix cache."""
    output_tokens: int
    e2e_ms: float | None
    ttfb_ms: float | None
    ttft_ms: float | None
    tpot_ms: float | None


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


class CellTrace(Part, frozen=True, kw_only=True):
    """The trace that a cell was measured with, and how many of its requests were made shorter to
    fit into the context."""

    name: str
    speed: float
    clipped_prompts: int
    clipped_outputs: int


class CellResult(Message, frozen=True, kw_only=True):
    """One measured cell: the object that `prodtop bench --json` prints, a line each."""

    model: str
    device: str
    strategy: StrategyName
    precision: PrecisionName
    requests: int
    """All that arrived: submitted and rejected ones."""
    failed: int
    rejected: int
    """Found the queue of an open loop full: in no other figure."""
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
    """Of speculative decoding: accepted drafts over drafts."""
    memory: CellMemory
    mbu: float | None
    mfu: float | None
    energy_j: float | None
    output_sha256: str
    """Over the output token ids of all requests in order of submission: equal means identical."""
    versions: dict[str, str]
    max_seqs: int | None = None
    """The most sequences that could run at once."""
    drafts: int | None = None
    """Drafts a step of each request; 0: none."""
    peak_running: int | None = None
    """The most requests that ran at once, as seen after each step."""
    peak_kv_bytes: int | None = None
    """The most of the KV cache that running requests held, likewise."""
    dispatch_ms: Distribution | None = None
    """From each arrival to when it was submitted: all later times count from the arrival."""
    trace: CellTrace | None = None
    """Where the load is a trace."""
    samples: list[RequestSample] | None = None
    """Every request in order of arrival, where `BenchSpec.samples` asks for them."""
    usage: Usage | None = None
    """What is to be paid for, over `duration_s`."""


class CellSkipped(Message, frozen=True, kw_only=True):
    """A cell that this device cannot run, with the reason."""

    strategy: StrategyName
    precision: PrecisionName
    reason: str


class BenchDone(Message, frozen=True, kw_only=True):
    """All cells of a bench have been reported."""
