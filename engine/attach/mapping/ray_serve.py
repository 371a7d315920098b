"""Ray Serve's metrics, beside which vLLM's come with `ray_` before them.

Ray's export is renewed every ten seconds.
"""

from typing import Final

from ...protocol import EngineKind, Figure
from .engine_map import EngineMap
from .source import Flow, Metric, Spread, level
from .vllm import MODELS, VLLM

_ALL, _ERRORS = (
    Metric(f"ray_serve_num_http_{what}_total") for what in ("requests", "error_requests")
)
_NO_ENGINE: Final = "no vLLM metrics here: does Ray Serve run an LLM engine with metrics on?"

_SERVE: Final = EngineMap(
    kind=EngineKind.RAY_SERVE,
    running=level("ray_serve_replica_processing_queries"),
    waiting=level("ray_serve_deployment_queued_queries"),
    finished=(Flow((_ALL,), less=(_ERRORS,)),),
    failed=(Flow((), also=(_ERRORS,), needs=(_ALL,)),),
    e2e=(
        Spread("ray_serve_http_request_latency_ms", unit_ms=1.0),
        Spread("ray_serve_deployment_processing_latency_ms", unit_ms=1.0),
    ),
    version=(("ray_serve_deployment_replica_healthy", "Version"),),
    rank_labels=("ReplicaId", "WorkerId"),
    refresh_s=10.0,
)

RAY_SERVE: Final = VLLM.extended(_SERVE, EngineKind.RAY_SERVE).renewed_every(10.0)
"""vLLM's figures first: they are the engine's own."""

RAY_SERVE_ALONE: Final = _SERVE.explained(
    dict.fromkeys((Figure.KV_USAGE, Figure.DECODE_TOK_S, Figure.TTFT, Figure.ITL), _NO_ENGINE),
    (MODELS,),
)
"""Without an engine's metrics."""
