"""How a request ended."""

from dataclasses import dataclass

from ..metrics.latency import RequestLatency
from .request import Request


@dataclass(frozen=True, slots=True)
class Completion:
    """A request that ended, with what its client got. `latency` is `None` if it was aborted."""

    request: Request
    text: str
    latency: RequestLatency | None
    from_response_cache: bool = False
