"""Switches of strategy, precision, speculation or load, and what they changed."""

from .message import Message, Part


class Switched(Message, frozen=True, kw_only=True):
    """A switch took effect: the charts mark this moment."""

    kind: str
    """`strategy`, `precision`, `speculation` or `load`."""
    old: str
    new: str
    at_s: float
    took_s: float


class Summary(Part, frozen=True, kw_only=True):
    """What one strategy and precision did over a span: one side of a switch's effect."""

    decode_tok_s: float
    memory_bytes: int
    ttft_p95_ms: float | None = None
    ttfb_p95_ms: float | None = None
    tpot_p95_ms: float | None = None


class SwitchEffect(Part, frozen=True, kw_only=True):
    """The last switch of strategy or precision: what was before, and what is since.

    `after` is `None` until enough was seen since the switch for a fair comparison.
    """

    kind: str
    """`strategy`, `precision`, `speculation` or `load`."""
    old: str
    new: str
    at_s: float
    before: Summary | None = None
    after: Summary | None = None
