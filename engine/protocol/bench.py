"""A bench: which cells to measure, and what came out."""

from .message import Message, Part
from .settings import LoadSpec, PrecisionName, StrategyName


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


class CellSkipped(Message, frozen=True, kw_only=True):
    """A cell that this device cannot run, with the reason."""

    strategy: StrategyName
    precision: PrecisionName
    reason: str


class BenchDone(Message, frozen=True, kw_only=True):
    """All cells of a bench have been reported."""
