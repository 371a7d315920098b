"""What the worker tells a server that is asked for metrics: counts since its start, levels now."""

import time

from ..probes.own_gpu import OwnGpu
from ..protocol.served import EngineMetrics
from ..serving.engine import Engine

_STARTED_AT_WALL_S = time.time()


def engine_metrics(engine: Engine, ask_id: int, own_gpu: OwnGpu | None = None) -> EngineMetrics:
    """Everything that is exported of `engine`, as of now. `own_gpu` is `None` on a CPU."""
    accounting = engine.metrics.accounting()
    return EngineMetrics(
        ask_id=ask_id,
        started_at_wall_s=_STARTED_AT_WALL_S,
        model=engine.model.name,
        strategy=engine.strategy.name,
        precision=engine.precision,
        counters={
            "requests_submitted": float(accounting.submitted),
            "requests_rejected": float(accounting.rejected),
            "generation_tokens": float(engine.metrics.generated_tokens_total),
        },
        gauges={
            "running": float(engine.scheduler.num_running),
            "waiting": float(engine.scheduler.num_waiting),
        },
        histograms={},
        by_reason={},
    )
