"""What one client may take: bytes, seconds, and what waits for it."""

from dataclasses import dataclass

from ..protocol.server_operations import MAX_BODY_MIB


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of requests and answers.

    `first_output_s`: how long a streamed answer waits for its first tokens before it begins, so
    that a refusal still gets a status of its own. A client that takes nothing for `slow_reader_s`
    is given up. A body has to come within `body_s`.
    """

    body_bytes: int = MAX_BODY_MIB << 20
    body_s: float = 120.0
    threads: int = 4
    keep_alive_s: float = 15.0
    slow_reader_s: float = 180.0
    first_output_s: float = 5.0
