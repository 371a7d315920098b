"""What the worker tells a server that is asked for metrics: counts since its start, levels now."""

from typing import Final

import psutil

from ..probes.own_gpu import OwnGpu
from ..protocol.served import EngineMetrics
from ..serving.engine import Engine
from .figures import engine_memory

GAUGES: Final = (
    "running",
    "waiting",
    "max_running",
    "context_tokens",
    "block_tokens",
    "kv_blocks",
    "kv_blocks_running",
    "kv_blocks_evictable",
    "kv_usage",
    "prefix_caching",
    "response_cache_entries",
    "response_cache_bytes",
    "device_memory_bytes",
    "weights_bytes",
    "kv_cache_bytes",
    "gpu_energy_joules",
)
"""Levels, and what is counted by others; `gpu_energy_joules` is missing where it is not known."""


def engine_metrics(engine: Engine, ask_id: int, own_gpu: OwnGpu | None = None) -> EngineMetrics:
    """Everything that is exported of `engine`, as of now. `own_gpu` is `None` on a CPU."""
    counted = engine.exported.counted()
    return EngineMetrics(
        ask_id=ask_id,
        started_at_wall_s=psutil.Process().create_time(),
        model=engine.model.name,
        strategy=engine.strategy.name,
        precision=engine.precision,
        counters=counted.counters,
        gauges=_gauges(engine, own_gpu),
        histograms=counted.histograms,
        by_reason=counted.by_reason,
    )


def _gauges(engine: Engine, own_gpu: OwnGpu | None) -> dict[str, float]:
    scheduler, blocks, responses = engine.scheduler, engine.blocks.counts(), engine.response_cache
    memory = engine_memory(engine, own_gpu)
    energy_j = None if own_gpu is None else own_gpu.energy_j()
    gauges: dict[str, float | None] = {
        "running": scheduler.num_running,
        "waiting": scheduler.num_waiting,
        "max_running": scheduler.running_limit,
        "context_tokens": engine.settings.context_tokens,
        "block_tokens": engine.blocks.block_tokens,
        "kv_blocks": blocks.total,
        "kv_blocks_running": blocks.running,
        "kv_blocks_evictable": blocks.evictable,
        "kv_usage": blocks.running / blocks.total,
        "prefix_caching": engine.strategy.prefix_cache,
        "response_cache_entries": responses.entries,
        "response_cache_bytes": responses.bytes_used,
        "device_memory_bytes": memory.used_bytes,
        "weights_bytes": memory.weights_bytes,
        "kv_cache_bytes": memory.kv_bytes,
        "gpu_energy_joules": energy_j,
    }
    return {name: float(value) for name, value in gauges.items() if value is not None}
