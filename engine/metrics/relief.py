"""What would relieve what binds, in a few words: `raise --max-seqs: 12 % of KV used`."""

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
                "a strategy that does not stream takes more prompt tokens a step"
                if frame.strategy in _STREAMS
                else "shorter prompts, or fewer new ones a second"
            )
        case Bound.KV_MEMORY:
            lower = "" if frame.max_seqs == 1 else ", or lower --max-seqs"
            return f"raise --kv-gib{lower}"
        case Bound.COMPUTE:
            return "a precision with a higher peak, or more devices"
        case Bound.BANDWIDTH:
            return "weights of fewer bits, or more sequences a step"
        case Bound.HOST:
            return "more sequences a step, or a faster CPU core"
        case Bound.SMALL_OPERATIONS:
            return "more sequences a step"
        case Bound.COMPILING:
            return "wait: each size is compiled once"


def _without_work(frame: Frame) -> str:
    if frame.queue.waiting and frame.strategy in _GANGS:
        return f"{frame.strategy} waits for a full batch: continuous does not"
    return "resume the load" if frame.load.paused else "more load"


def _capped(frame: Frame) -> str:
    limit = frame.queue.running_limit
    if frame.strategy in _GANGS:
        return f"{frame.strategy} refills no batch: continuous does, each step"
    if limit is not None and limit < frame.max_seqs:
        return f"{frame.strategy} runs {limit}: continuous runs up to {frame.max_seqs}"
    used = kv_used(frame)
    if used is None:
        return "raise --max-seqs"
    more = "raise --max-seqs" if used < _FULL else "raise --kv-gib and --max-seqs"
    return f"{more}: {used * 100:.0f} % of KV used"


def kv_used(frame: Frame) -> float | None:
    """The share of KV blocks that running requests hold; `None` where there are none."""
    blocks = frame.cache.blocks
    return blocks.running / blocks.total if blocks.total else None
