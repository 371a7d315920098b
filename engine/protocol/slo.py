"""The limits that a user sets on latencies, and how requests do against them."""

from .message import Part


class SloSpec(Part, frozen=True, kw_only=True):
    """Limits on the six latencies of a request, in milliseconds; `None`: no limit.

    The defaults are MLPerf Inference's for a chat server (Llama 2 70B: TTFT 2 s, TPOT 200 ms), and
    a text that never stands still for a second. TTFB and E2E depend on how answers are delivered
    and how long they are, and the queue time is a part of TTFT: these have a limit only where the
    user sets one.
    """

    ttft_ms: float | None = 2000.0
    ttfb_ms: float | None = None
    tpot_ms: float | None = 200.0
    itl_ms: float | None = 1000.0
    e2e_ms: float | None = None
    queue_ms: float | None = None

    def limit_ms(self, latency: str) -> float | None:
        """The limit on a latency by its name in `Latency`: `ttft`, `queue` …"""
        limit: float | None = getattr(self, f"{latency}_ms")
        return limit


SLO_NAMES = tuple(field.removesuffix("_ms") for field in SloSpec.__struct_fields__)
"""The latencies that may have a limit, as `Latency` names them."""


class Attainment(Part, frozen=True, kw_only=True):
    """How the requests of a window did against the limits.

    `ended` in it, finished or `failed`. The shares are of requests within a limit over requests
    judged by it: those that ended and have that latency, and those in flight that are over it
    already, as missed (`over_in_flight`: over any). A failed one has missed every limit. `None`
    where there is no such limit, or no request to judge.
    """

    ended: int = 0
    failed: int = 0
    over_in_flight: int = 0
    goodput_per_s: float | None = None
    """Requests that ended in the window within every limit, per second."""
    within_all: float | None = None
    within: dict[str, float] = {}
    """By the name of the latency; only limits that some request was judged by."""
