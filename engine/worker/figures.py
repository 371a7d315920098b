"""What messages say of an engine: its memory, its roofline, its drafts, a request that ended."""

import psutil
import torch

from ..device.ceilings import ceilings
from ..model.decoder import Decoder
from ..model.weights import MasterWeights
from ..precision.levels import compute_dtype
from ..precision.linear import storage_bytes
from ..probes.own_gpu import OwnGpu
from ..protocol import (
    RATE_SPAN_S,
    Attainment,
    Averages,
    FinishedRequest,
    Memory,
    Queue,
    Roofline,
    Speculation,
    Usage,
    Window,
)
from ..serving.engine import Engine
from ..serving.request import Completion
from ..serving.runner import Runner


def engine_memory(engine: Engine, own_gpu: OwnGpu | None) -> Memory:
    """What an engine's process holds, with its draft model if it has one."""
    draft = None if engine.drafter is None else engine.drafter.runner
    return read_memory(engine.runner, engine.model.master, own_gpu, draft)


def read_memory(
    runner: Runner, master: MasterWeights, own_gpu: OwnGpu | None, draft: Runner | None = None
) -> Memory:
    """Weights, master copy and KV cache from storage, the rest of torch and of the process.

    Those of a `draft` model count too, but for its master copy, which is among the rest.
    On a CPU the whole is the process's resident set, of which torch does not know its share: all
    but these is `other`. On CUDA the whole is what the driver says of the process.
    """
    runners = [runner] if draft is None else [runner, draft]
    device = runner.decoder.device
    weights = sum(each.decoder.weights_bytes for each in runners)
    kv = sum(each.kv_cache.storage_bytes for each in runners)
    head_copy = sum(each.decoder.head_copy_bytes for each in runners) or None
    graphs = sum(each.graph_bytes for each in runners)
    master_copy = master_bytes(master, runner.decoder)
    named = weights + kv + graphs + (master_copy or 0)
    if device.type == "cpu":
        used = max(psutil.Process().memory_info().rss, named)
        return Memory(
            used_bytes=used,
            weights_bytes=weights,
            head_copy_bytes=head_copy,
            kv_bytes=kv,
            master_bytes=master_copy,
            other_bytes=used - named,
        )
    reserved = torch.cuda.memory_reserved(device)
    process = None if own_gpu is None else own_gpu.held_bytes(reserved)
    used = reserved if process is None else max(process, reserved)
    return Memory(
        used_bytes=used,
        weights_bytes=weights,
        head_copy_bytes=head_copy,
        kv_bytes=kv,
        master_bytes=master_copy,
        graphs_bytes=graphs or None,
        workspace_bytes=max(0, reserved - named),
        other_bytes=used - max(reserved, named),
        torch_allocated_bytes=torch.cuda.memory_allocated(device),
        torch_reserved_bytes=reserved,
    )


def master_bytes(master: MasterWeights, decoder: Decoder) -> int | None:
    """Bytes of the master copy beyond what `decoder` shares with it; `None` on another device."""
    if master.embedding.device.type != decoder.device.type:
        return None
    served = decoder.tensors()
    return storage_bytes([*served, *master.tensors()]) - storage_bytes(served)


def roofline(engine: Engine, now_s: float, span_s: float = RATE_SPAN_S) -> Roofline:
    """MBU and MFU against the device's measured ceilings over `span_s`, and what binds."""
    limits = ceilings(engine.device)
    dtype = compute_dtype(engine.precision, engine.device)
    admission, blocks = engine.metrics.admission, engine.blocks.counts()
    return engine.metrics.limits.roofline(
        now_s,
        copy_bytes_per_s=limits.copy_bytes_per_s(),
        matmul_flops_per_s=limits.matmul_flops_per_s(dtype),
        admission=admission.now(now_s, span_s),
        kv_used=blocks.running / blocks.total if blocks.total else 0.0,
        span_s=span_s,
    )


def averages(engine: Engine, now_s: float) -> dict[Window, Averages]:
    """What the headlines show, over every window."""
    spans_s = engine.metrics.spans_s(now_s)
    return {window: _averages(engine, now_s, span_s) for window, span_s in spans_s.items()}


def _averages(engine: Engine, now_s: float, span_s: float) -> Averages:
    throughput, used = engine.metrics.throughput, roofline(engine, now_s, span_s)
    return Averages(
        decode_tok_s=throughput.decode_tok_s(span_s, now_s),
        requests_per_s=throughput.requests_per_s(span_s, now_s),
        mbu=used.mbu,
        mfu=used.mfu,
    )


def usage(engine: Engine, now_s: float) -> dict[Window, Usage]:
    """What is to be paid for, over every window."""
    spans_s = engine.metrics.spans_s(now_s)
    return {window: usage_over(engine, now_s, span_s) for window, span_s in spans_s.items()}


def usage_over(engine: Engine, now_s: float, span_s: float) -> Usage:
    """What is to be paid for over the last `span_s`."""
    metrics = engine.metrics
    totals, used = metrics.throughput.over(span_s, now_s), roofline(engine, now_s, span_s)
    return metrics.usage.over(span_s, now_s, totals=totals, used=used)


def queue(engine: Engine, now_s: float) -> Queue:
    """The scheduler's queue as it is now."""
    scheduler = engine.scheduler
    oldest = scheduler.oldest_unstarted
    return engine.metrics.queue(
        now_s,
        running=scheduler.num_running,
        waiting=scheduler.num_waiting,
        preemptions=engine.preemptions,
        running_limit=scheduler.running_limit,
        oldest_unstarted_at_s=None if oldest is None else oldest.arrival_at_s,
    )


def attainment(engine: Engine, now_s: float) -> dict[Window, Attainment]:
    """How requests did against the limits, those in flight included."""
    scheduler = engine.scheduler
    in_flight = (*scheduler.running, *scheduler.waiting)
    metrics = engine.metrics
    return metrics.attainment.all_windows(in_flight, metrics.spans_s(now_s), now_s)


def speculation(engine: Engine, now_s: float) -> Speculation | None:
    """What drafts do and whether they pay; `None` where the engine makes none."""
    spec, pace = engine.speculation.spec, engine.speculation.pace
    if spec is None:
        return None
    gain = pace.gain
    return Speculation(
        spec=spec,
        drafting=pace.drafting,
        acceptance=engine.metrics.draft_acceptance(now_s),
        tokens_per_step=None if gain is None else gain.tokens_per_step,
        step_ratio=None if gain is None else gain.step_ratio,
    )


def finished_request(completion: Completion, engine: Engine, now_s: float) -> FinishedRequest:
    """A completion as its client saw it, in milliseconds; one that failed did so at `now_s`."""
    request, latency = completion.request, completion.latency

    def ms(seconds: float | None) -> float | None:
        return None if seconds is None else seconds * 1e3

    e2e_s = now_s - request.arrival_at_s if latency is None else latency.e2e_s
    return FinishedRequest(
        request_id=request.request_id,
        strategy=engine.strategy.name,
        precision=engine.precision,
        prompt_tokens=len(request.prompt_tokens),
        output_tokens=request.num_output_tokens,
        finish_reason=request.finish_reason or "aborted",
        failed=latency is None,
        arrival_at_s=request.arrival_at_s,
        e2e_ms=e2e_s * 1e3,
        ttfb_ms=(e2e_s if latency is None else latency.ttfb_s) * 1e3,
        queue_ms=ms(None if latency is None else latency.queue_s),
        ttft_ms=ms(None if latency is None else latency.ttft_s),
        tpot_ms=ms(None if latency is None else latency.tpot_s),
        cached_prompt_tokens=request.cached_prompt_tokens,
        from_response_cache=completion.from_response_cache,
        preemptions=request.preemptions,
    )
