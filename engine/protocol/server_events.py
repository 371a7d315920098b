"""What the server tells the screen: where it listens, what goes through it, how a drain ended."""

from .guard_samples import GuardSample, ReviewSample
from .message import Message


class ServerListening(Message, frozen=True, kw_only=True):
    """Connections are accepted. `url` is the root of the API, `port` the real one."""

    url: str
    port: int


class ServerSample(Message, frozen=True, kw_only=True):
    """What goes through the server now, and what went through since it started.

    `streams` are the answers that are sent as they come, of the `open_requests`. `answered` counts
    finished requests by status class (`2xx`); `refused` of them those with 429 or 503. `aborted`
    were left by their clients before the end, and are in no class where they had no status yet.
    `guards` are by guard's name, `all` over all of them together; empty where nothing is guarded.
    `review` `None`: there is no queue.
    """

    at_s: float
    open_requests: int = 0
    streams: int = 0
    answered: dict[str, int] = {}
    refused: int = 0
    aborted: int = 0
    draining: bool = False
    guards: dict[str, GuardSample] = {}
    review: ReviewSample | None = None


class LinkLost(Message, frozen=True, kw_only=True):
    """The link to the worker has ended: give both a new one, if the worker lives. For the client:
    the screen does not see it."""


class Drained(Message, frozen=True, kw_only=True):
    """The answer to `Drain`, just before the server ends: `aborted` requests were cut off."""

    aborted: int
