"""Triton's own metrics, and those of its TensorRT-LLM backend (port 8002)."""

from typing import Final

from ...protocol import EngineKind, Figure
from .engine_map import Endpoint, EngineMap, KvSize
from .source import Flow, Level, Mean, Metric


def _of(metric: str, label: str, value: str) -> Metric:
    return Metric(metric, ((label, value),))


def _requests(kind: str) -> tuple[Level, ...]:
    return (Level((_of("nv_trt_llm_request_metrics", "request_type", kind),)),)


def _blocks(kind: str, *, mean: bool = False) -> Level:
    metric = _of("nv_trt_llm_kv_cache_block_metrics", "kv_cache_block_type", kind)
    return Level((metric,), by="mean" if mean else "sum")


_MODELS: Final = ("ensemble", "tensorrt_llm_bls", "tensorrt_llm")
"""Of an ensemble every step counts requests: those of the whole are taken."""


def _counted(metric: str) -> tuple[Flow, ...]:
    return tuple(Flow((_of(metric, "model", model),)) for model in _MODELS)


def _mean(metric: str) -> tuple[Mean, ...]:
    """Microseconds over requests, of which there is no distribution."""
    totals, counts = _counted(metric), _counted("nv_inference_request_success")
    return tuple(Mean(t, c, unit_ms=1e-3) for t, c in zip(totals, counts, strict=True))


TRITON: Final = EngineMap(
    kind=EngineKind.TRITON,
    running=_requests("scheduled"),
    waiting=_requests("waiting"),
    kv_usage=(_blocks("fraction", mean=True),),
    kv_size=(KvSize(_blocks("max"), _blocks("tokens_per", mean=True)),),
    finished=_counted("nv_inference_request_success"),
    failed=_counted("nv_inference_request_failure"),
    e2e=_mean("nv_inference_request_duration_us"),
    queue=_mean("nv_inference_queue_duration_us"),
    max_seqs=_requests("max"),
    model_labels=(),
    absent={
        Figure.MODEL: "Triton names the steps of its ensemble, not the model",
        Figure.PREFIX_HITS: "Triton does not export it",
    },
    endpoints=(Endpoint("/v2", 60.0),),
)
