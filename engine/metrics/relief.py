"""What would relieve what binds, in a few words: `raise --max-seqs: 12 % of KV used`.

What stands before the first colon or comma is advice enough where there is little room.
"""

import re

from ..protocol import Bound, Frame, StrategyName

_FULL = 0.9
"""From this share of KV blocks on, more sequences would only be preempted."""

_GANGS = frozenset({StrategyName.BATCHED})
_STREAMS = frozenset({StrategyName.STREAMING, StrategyName.HYBRID})


def relief(frame: Frame) -> str:
    """What to change, or to wait for; empty without a verdict."""
    verdict = frame.roofline.verdict
    if verdict is None:
        return ""
    match verdict.bound:
        case Bound.NO_WORK:
            return _without_work(frame)
        case Bound.SEQUENCE_CAP:
            return _capped(frame)
        case Bound.TOKEN_BUDGET:
            return (
                "no streaming: it bounds the prompt tokens of a step"
                if frame.strategy in _STREAMS
                else "shorter prompts, or fewer a second"
            )
        case Bound.KV_MEMORY:
            lower = "" if frame.max_seqs == 1 else ", or lower --max-seqs"
            return f"raise --kv-gib{lower}"
        case Bound.COMPUTE:
            return "another precision, or a faster device"
        case Bound.BANDWIDTH:
            return "fewer bits: int8 or int4, or larger batches"
        case Bound.HOST:
            return "larger batches, or a faster CPU core"
        case Bound.SMALL_OPERATIONS:
            return "larger batches: more load"
        case Bound.COMPILING:
            return "wait: it is done once"


def shortened(advice: str) -> str:
    """The advice without its reason or its alternative."""
    return re.split("[:,]", advice, maxsplit=1)[0]


def _without_work(frame: Frame) -> str:
    if frame.queue.waiting and frame.strategy in _GANGS:
        return f"strategy continuous: {frame.strategy} waits for a full batch"
    return "resume the load" if frame.load is not None and frame.load.paused else "more load"


def _capped(frame: Frame) -> str:
    limit = frame.queue.running_limit
    if frame.strategy in _GANGS:
        return f"strategy continuous: {frame.strategy} refills no batch"
    most = frame.max_seqs
    if limit is not None and most is not None and limit < most:
        return f"strategy continuous: it runs up to {most}"
    used = kv_used(frame)
    if used is None:
        return "raise --max-seqs"
    more = "raise --max-seqs" if used < _FULL else "raise --kv-gib and --max-seqs"
    return f"{more}: {used * 100:.0f} % of KV used"


def kv_used(frame: Frame) -> float | None:
    """The share of KV blocks that running requests hold; `None` where there are none, or where it
    is not told."""
    blocks = frame.cache.blocks
    if blocks is None:
        return frame.cache.usage
    return blocks.running / blocks.total if blocks.total else None
