"""What the requests get of the engine: pace, latency, their numbers, the text of one."""

from .message import Part


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
