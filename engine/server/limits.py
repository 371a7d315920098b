"""What one client may take: bytes, seconds, and what waits for it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of requests and answers.

    `first_output_s`: how long a streamed answer waits for its first tokens before it begins, so
    that a refusal still gets a status of its own. A client that takes nothing for `slow_reader_s`
    is given up.
    """

    body_bytes: int = 16 << 20
    threads: int = 4
    keep_alive_s: float = 15.0
    slow_reader_s: float = 180.0
    first_output_s: float = 5.0
