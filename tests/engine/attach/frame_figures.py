"""The value of each figure in a frame: `None` where it is missing."""

from prodtop.engine.attach.reading.frame_making import NAMELESS
from prodtop.engine.protocol import Figure, Frame, Percentiles, Window


def _mean(latency: Percentiles | None) -> float | None:
    """The median where the engine's export has no exact sum."""
    if latency is None:
        return None
    return latency.p50_ms if latency.mean_ms is None else latency.mean_ms


def figures(frame: Frame) -> dict[Figure, float | str | None]:
    """All figures of a frame; of latencies the mean in milliseconds over the session."""
    flow, queue, counts = frame.throughput, frame.queue, frame.accounting
    latency, blocks = frame.latency[Window.SESSION], frame.cache.blocks
    usage = frame.cache.usage if blocks is None else blocks.running / blocks.total
    speculation = frame.speculation
    return {
        Figure.RUNNING: queue.running,
        Figure.WAITING: queue.waiting,
        Figure.KV_USAGE: usage,
        Figure.KV_SIZE: None if blocks is None else blocks.total,
        Figure.PREFIX_HITS: frame.cache.rates[Window.SESSION].prefix,
        Figure.PREFILL_TOK_S: flow.prefill_tok_s,
        Figure.CACHED_TOK_S: flow.cached_tok_s,
        Figure.DECODE_TOK_S: flow.decode_tok_s,
        Figure.REQUESTS_PER_S: flow.requests_per_s,
        Figure.ARRIVALS_PER_S: flow.arrivals_per_s,
        Figure.REJECTED_PER_S: flow.rejected_per_s,
        Figure.STEPS_PER_S: flow.steps_per_s,
        Figure.BATCH_ROWS: flow.mean_batch_rows,
        Figure.TTFT: _mean(latency.ttft),
        Figure.TTFB: _mean(latency.ttfb),
        Figure.ITL: _mean(latency.itl),
        Figure.TPOT: _mean(latency.tpot),
        Figure.E2E: _mean(latency.e2e),
        Figure.QUEUE_TIME: _mean(latency.queue),
        Figure.FINISHED: None if counts is None else counts.finished,
        Figure.FAILED: None if counts is None else counts.failed,
        Figure.PREEMPTIONS: queue.preemptions,
        Figure.ACCEPTANCE: None if speculation is None else speculation.acceptance,
        Figure.MBU: frame.roofline.mbu,
        Figure.MFU: frame.roofline.mfu,
        Figure.MEMORY: None if frame.memory is None else frame.memory.used_bytes,
        Figure.MODEL: None if frame.model.name == NAMELESS else frame.model.name,
        Figure.MAX_SEQS: frame.max_seqs,
        Figure.GPU: frame.gpu_uuid,
    }
