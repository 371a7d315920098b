"""The figures that are kept as series: what charts draw, by name.

Latencies and hit rates are those of the ten-second window.
"""

from collections.abc import Callable, Mapping

from ..protocol import Frame, GpuSample, HitRates, HostSample, Latency, Percentiles, Window


def _latency_10s(frame: Frame) -> Latency:
    return frame.latency.get(Window.S10, Latency())


def _hits_10s(frame: Frame) -> HitRates:
    return frame.cache.rates.get(Window.S10, HitRates())


def _p50_ms(percentiles: Percentiles | None) -> float | None:
    return None if percentiles is None else percentiles.p50_ms


def _p95_ms(percentiles: Percentiles | None) -> float | None:
    return None if percentiles is None else percentiles.p95_ms


def _p99_ms(percentiles: Percentiles | None) -> float | None:
    return None if percentiles is None else percentiles.p99_ms


def _kv_used(frame: Frame) -> float | None:
    blocks = frame.cache.blocks
    if blocks is None:
        return frame.cache.usage
    return blocks.running / blocks.total if blocks.total else None


def _in_system(frame: Frame) -> float | None:
    running, waiting = frame.queue.running, frame.queue.waiting
    return None if running is None or waiting is None else running + waiting


FRAME_COLUMNS: Mapping[str, Callable[[Frame], float | None]] = {
    "decode_tok_s": lambda frame: frame.throughput.decode_tok_s,
    "prefill_tok_s": lambda frame: frame.throughput.prefill_tok_s,
    "cached_tok_s": lambda frame: frame.throughput.cached_tok_s,
    "arrivals_per_s": lambda frame: frame.throughput.arrivals_per_s,
    "requests_per_s": lambda frame: frame.throughput.requests_per_s,
    "ttft_p50_ms": lambda frame: _p50_ms(_latency_10s(frame).ttft),
    "ttft_p95_ms": lambda frame: _p95_ms(_latency_10s(frame).ttft),
    "ttft_p99_ms": lambda frame: _p99_ms(_latency_10s(frame).ttft),
    "tpot_p95_ms": lambda frame: _p95_ms(_latency_10s(frame).tpot),
    "in_system": _in_system,
    "running": lambda frame: frame.queue.running,
    "response_hits": lambda frame: _hits_10s(frame).response,
    "prefix_hits": lambda frame: _hits_10s(frame).prefix,
    "kv_used": _kv_used,
    "mbu": lambda frame: frame.roofline.mbu,
    "generated_tokens": lambda frame: frame.generated_tokens_total,
}
HOST_COLUMNS: Mapping[str, Callable[[HostSample], float | None]] = {
    "cpu": lambda host: host.cpu_utilization,
    "worker_cpu": lambda host: host.worker_cpu_utilization,
}
GPU_COLUMNS: Mapping[str, Callable[[GpuSample], float | None]] = {
    "gpu": lambda gpu: gpu.utilization,
    "power_w": lambda gpu: gpu.power_w,
    "energy_j": lambda gpu: gpu.energy_j,
}
"""Of the GPU that the engine is on."""
COLUMNS = (*FRAME_COLUMNS, *HOST_COLUMNS, *GPU_COLUMNS)
"""The series that are kept. Latencies and hit rates are those of the ten-second window."""

COUNTERS = frozenset({"generated_tokens", "energy_j"})
"""Columns that only grow: thinning keeps their last value, not their mean."""


def figures(
    frame: Frame | None, host: HostSample | None, gpu: GpuSample | None
) -> dict[str, float | None]:
    """The columns of one moment, as far as they are known. `gpu` is the engine's own."""
    known: dict[str, float | None] = {}
    if frame is not None:
        known |= {name: read(frame) for name, read in FRAME_COLUMNS.items()}
    if host is not None:
        known |= {name: read(host) for name, read in HOST_COLUMNS.items()}
    if gpu is not None:
        known |= {name: read(gpu) for name, read in GPU_COLUMNS.items()}
    return known
