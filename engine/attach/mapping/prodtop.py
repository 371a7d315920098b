"""What `prodtop serve` exports under its own names: more than any of vLLM's beside them."""

from typing import Final

from ...protocol import EngineKind, Figure
from .engine_map import EngineMap, KvSize
from .source import Flow, Level, Metric, flow, flow_of, level, share, spread
from .vllm import MODELS, VERSION

_ENDED = Metric("prodtop_requests_ended_total")
_LOST = tuple(Metric(_ENDED.name, (("reason", reason),)) for reason in ("abort", "error"))


def _with(name: str, label: str, value: str) -> Level:
    return Level((Metric(name, ((label, value),)),))


PRODTOP: Final = EngineMap(
    kind=EngineKind.PRODTOP,
    running=level("prodtop_requests_running"),
    waiting=level("prodtop_requests_waiting"),
    kv_usage=level("prodtop_kv_cache_usage_ratio"),
    kv_size=(
        KvSize(
            Level((Metric("prodtop_kv_cache_blocks"),)), *level("prodtop_kv_cache_block_tokens")
        ),
    ),
    kv_blocks_running=(_with("prodtop_kv_cache_blocks", "state", "running"),),
    kv_blocks_evictable=(_with("prodtop_kv_cache_blocks", "state", "evictable"),),
    prefix_hits=(
        share("prodtop_prefix_cache_hit_tokens_total", "prodtop_prefix_cache_queried_tokens_total"),
    ),
    response_hits=(
        share("prodtop_response_cache_hits_total", "prodtop_response_cache_lookups_total"),
    ),
    response_entries=level("prodtop_response_cache_entries"),
    response_bytes=level("prodtop_response_cache_bytes"),
    prefill=flow("prodtop_prefill_tokens_total"),
    cached=(flow_of("prodtop_prompt_tokens_total", source="cached"),),
    cached_output=flow("prodtop_response_cache_tokens_total"),
    decode=flow("prodtop_generation_tokens_total"),
    finished=(Flow((_ENDED,), less=_LOST),),
    failed=(Flow((), also=_LOST, needs=(_ENDED,)),),
    rejected=(
        Flow(
            (),
            also=(
                Metric("prodtop_http_rejected_requests_total"),
                Metric("prodtop_requests_rejected_total"),
            ),
            needs=(_ENDED,),
        ),
    ),
    submitted=flow("prodtop_requests_submitted_total"),
    preemptions=flow("prodtop_preemptions_total"),
    steps=flow("prodtop_steps_total"),
    rows=(share("prodtop_step_rows_total", "prodtop_steps_total"),),
    ttft=spread("prodtop_time_to_first_token_seconds"),
    itl=spread("prodtop_inter_token_latency_seconds"),
    tpot=spread("prodtop_time_per_output_token_seconds"),
    e2e=spread("prodtop_request_duration_seconds"),
    queue=spread("prodtop_queue_time_seconds"),
    acceptance=(share("prodtop_accepted_draft_tokens_total", "prodtop_draft_tokens_total"),),
    drafts=(share("prodtop_draft_tokens_total", "prodtop_drafts_total"),),
    flops=flow("prodtop_estimated_flops_total"),
    read_bytes=flow("prodtop_estimated_read_bytes_total"),
    busy_s=flow("prodtop_device_busy_seconds_total"),
    prefill_busy_s=flow("prodtop_device_prefill_seconds_total"),
    energy_j=flow("prodtop_gpu_energy_joules_total"),
    memory_used=level("prodtop_device_memory_bytes"),
    memory_weights=(_with("prodtop_memory_bytes", "part", "weights"),),
    memory_kv=(_with("prodtop_memory_bytes", "part", "kv_cache"),),
    max_seqs=level("prodtop_requests_running_limit"),
    context_tokens=level("prodtop_context_tokens"),
    version=(("prodtop_engine_info", "version"),),
    absent={
        Figure.ACCEPTANCE: "no drafts",
        Figure.TTFB: "prodtop serve does not export it",
    },
    endpoints=(VERSION, MODELS),
)
