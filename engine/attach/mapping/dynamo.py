"""The metrics of Dynamo's frontend, and what its workers tell beside those of their engine.

A request is queued until its first response, so that waiting ones include those in prefill.
"""

from dataclasses import replace
from typing import Final

from ...protocol import EngineKind, Figure, Unit
from .engine_map import EngineMap, KvSize
from .further import gauge, mean_count, mean_time, per_s
from .source import Flow, Level, Metric, Share, flow, flow_of, level, spread
from .vllm import MODELS

PREFIX: Final = "dynamo_frontend_"
"""`DYN_METRICS_PREFIX` may be another."""
_INPUT, _HIT = (
    Metric(f"{PREFIX}{what}_sum") for what in ("input_sequence_tokens", "cached_tokens")
)
_WORKERS_TELL: Final = "its workers tell it: attach their ports (DYN_SYSTEM_PORT) as well"
_QUEUED: Final = Metric(f"{PREFIX}queued_requests")

DYNAMO: Final = EngineMap(
    kind=EngineKind.DYNAMO,
    running=(
        Level((Metric(f"{PREFIX}active_requests"),), minus=(_QUEUED,)),
        Level((Metric(f"{PREFIX}inflight_requests"),), minus=(_QUEUED,)),
    ),
    waiting=(Level((_QUEUED,)),),
    kv_usage=level(
        "dynamo_component_gpu_cache_usage_percent",
        "dynamo_component_kvstats_gpu_cache_usage_percent",
        by="mean",
    ),
    kv_size=(
        KvSize(
            *level(f"{PREFIX}model_total_kv_blocks"),
            *level(f"{PREFIX}model_kv_cache_block_size", by="max"),
        ),
        KvSize(*level("dynamo_component_kvstats_total_blocks")),
    ),
    further=(
        mean_time("preprocess", f"{PREFIX}stage_duration_seconds", stage="preprocess"),
        mean_time("route", f"{PREFIX}stage_duration_seconds", stage="route"),
        mean_time("dispatch", f"{PREFIX}stage_duration_seconds", stage="dispatch"),
        mean_count("prompt tokens", f"{PREFIX}input_sequence_tokens"),
        mean_count("output tokens", f"{PREFIX}output_sequence_tokens"),
        per_s("clients gone", f"{PREFIX}disconnected_clients"),
        per_s("migrations", f"{PREFIX}model_migration_total"),
        per_s("cancelled", f"{PREFIX}model_cancellation_total"),
        gauge("LoRA active", f"{PREFIX}lora_is_active"),
        gauge("LoRA requests", f"{PREFIX}lora_active_requests"),
        per_s("LoRA loads", f"{PREFIX}lora_churn_loads_total"),
        gauge("router queue", f"{PREFIX}router_queue_pending_requests"),
        gauge("CPU KV hits", "kvbm_host_cache_hit_rate", Unit.SHARE),
        gauge("disk KV hits", "kvbm_disk_cache_hit_rate", Unit.SHARE),
        per_s("KV blocks out", "kvbm_offload_blocks_d2h"),
        per_s("KV blocks back", "kvbm_onboard_blocks_h2d"),
        per_s("from disk", "kvbm_onboard_blocks_d2d"),
        per_s("to disk", "kvbm_offload_blocks_h2d"),
    ),
    prefix_hits=(Share(Flow((_HIT,)), Flow((_INPUT,))),),
    prefill=(Flow((_INPUT,), minus=(_HIT,)), Flow((_INPUT,))),
    cached=(Flow((_HIT,)),),
    decode=(
        *flow(f"{PREFIX}output_tokens_total"),
        *flow(f"{PREFIX}output_sequence_tokens_sum", at_end=True),
    ),
    finished=(flow_of(f"{PREFIX}requests_total", status="success"),),
    failed=(
        Flow(
            (),
            also=flow_of(f"{PREFIX}requests_total", status="error").plus,
            needs=(Metric(f"{PREFIX}requests_total"),),
        ),
    ),
    rejected=flow(f"{PREFIX}model_rejection_total"),
    ttft=spread(f"{PREFIX}time_to_first_token_seconds"),
    itl=spread(f"{PREFIX}inter_token_latency_seconds"),
    e2e=spread(f"{PREFIX}request_duration_seconds"),
    max_seqs=level(f"{PREFIX}model_max_num_seqs"),
    context_tokens=level(f"{PREFIX}model_context_length", by="max"),
    model_labels=("model", "model_name"),
    rank_labels=("worker_id", "dp_rank"),
    absent={
        **dict.fromkeys((Figure.KV_USAGE, Figure.STEPS_PER_S, Figure.PREEMPTIONS), _WORKERS_TELL),
        Figure.TPOT: "Dynamo measures ITL only",
        Figure.QUEUE_TIME: "Dynamo tells the time of its stages only",
        Figure.KV_SIZE: "needs the KV usage, which its workers tell",
        Figure.CACHED_TOK_S: "no cached tokens counted yet",
        Figure.PREFIX_HITS: "no cached tokens counted yet",
        Figure.REJECTED_PER_S: "no request was rejected yet",
    },
    endpoints=(MODELS,),
)

DYNAMO_WORKER: Final = replace(
    DYNAMO, absent=dict.fromkeys(Figure, "this worker's engine does not tell it here")
)
"""What a worker tells beside its engine's metrics, whose own reasons come first."""
