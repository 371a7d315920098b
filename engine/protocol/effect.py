"""What the settings in use did over a span, and what a switch of them changed."""

from .message import Part


class Percentile(Part, frozen=True, kw_only=True):
    """A latency's percentile in milliseconds; with `at_least` what is known of it so far.

    Requests that still wait will have waited longer than they have by now, so their percentile may
    only be known from below: it is `value_ms` or more.
    """

    value_ms: float
    at_least: bool = False


class Summary(Part, frozen=True, kw_only=True):
    """What one choice of settings did over a steady span, or so far: one side of a switch's effect.

    Latencies are of the requests that arrived in the span, those in flight included as censored;
    `None` where there are too few of them.
    """

    span_s: float
    arrivals: int
    """Requests that arrived in the span."""
    requests: int
    """Requests that finished in it."""
    failed: int
    decode_tok_s: float
    growth_per_s: float
    """By how many requests a second the system filled, arrivals less ends."""
    growing: bool
    """It filled so much that this is no coincidence: no latency is its last yet."""
    memory_bytes: int | None = None
    ttft_p50: Percentile | None = None
    ttft_p95: Percentile | None = None
    ttfb_p95: Percentile | None = None
    e2e_p95: Percentile | None = None
    tpot_p50_ms: float | None = None
    tpot_p95_ms: float | None = None


class SwitchEffect(Part, frozen=True, kw_only=True):
    """The last switch, or several that followed each other too fast to be told apart."""

    kind: str
    """`strategy`, `precision`, `speculation` or `load`; of several, joined by ` + `."""
    old: str
    new: str
    at_s: float
    before: Summary | None = None
    """`None`: nothing steady was measured before."""
    after: Summary | None = None
    """`None` until what came after is steady and long enough for a fair comparison."""
    so_far: Summary | None = None
    """What is known meanwhile."""
