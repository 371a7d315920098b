"""How long the queue of an open loop may become, in requests and in the memory that they take.

Whoever is faster than the engine would otherwise fill the host's memory: at 20,000 requests a
second, some 80 MB each second. A closed loop needs no limit: its users wait for their answers.
"""

from dataclasses import dataclass
from typing import Self

from ..protocol import LoadSpec

REQUEST_BYTES = 2304
"""Host memory of a waiting request without its tokens, as tracemalloc measured it."""
TOKEN_BYTES = 16
"""Host memory of a waiting request's token: a place in its prompt, and one in all its tokens."""


@dataclass(frozen=True, slots=True)
class QueueSize:
    """Requests that wait, and the tokens that they have together."""

    requests: int
    tokens: int

    @property
    def bytes(self) -> int:
        """About what they take of the host's memory."""
        return self.requests * REQUEST_BYTES + self.tokens * TOKEN_BYTES


@dataclass(frozen=True, slots=True)
class QueueLimit:
    """The most requests that may wait, and the most bytes that they may take."""

    requests: int
    bytes: float

    @classmethod
    def of(cls, load: LoadSpec) -> Self | None:
        """The limit of an open loop; `None` for a closed one."""
        if not load.is_open:
            return None
        return cls(load.max_waiting, load.max_waiting_mib * 2**20)

    def takes(self, queue: QueueSize, tokens: int) -> bool:
        """Whether a request of so many tokens finds room. An empty queue takes any."""
        longer = QueueSize(queue.requests + 1, queue.tokens + tokens)
        return not queue.requests or (
            longer.requests <= self.requests and longer.bytes <= self.bytes
        )

    def room(self, queue: QueueSize, tokens: int = 0) -> int:
        """How many requests may come as far as their number goes; 0 while one of so many `tokens`
        finds no room."""
        return self.requests - queue.requests if self.takes(queue, tokens) else 0
