"""vLLM's metrics, those of older releases too; under Ray they are the same with `ray_` before.

Prompt tokens include cached ones; computed ones are told apart since the counter by source exists.
"""

from typing import Final

from ...protocol import EngineKind, Figure, Unit
from .engine_map import Endpoint, EngineMap, KvSize
from .further import Further, gauge, mean_count, mean_time, names_in, per_s, share_of
from .source import Flow, Label, Metric, flow, flow_of, level, share, spread

VERSION: Final = Endpoint("/version", 60.0)
MODELS: Final = Endpoint("/v1/models", 60.0)

_CONFIG = Metric("vllm:cache_config_info")
_PROMPT = Metric("vllm:prompt_tokens_total")
_CACHED = (
    *flow("vllm:prompt_tokens_cached_total"),
    *flow("vllm:prefix_cache_hits_total", "vllm:gpu_prefix_cache_hits_total"),
)
_COMPUTED = flow_of("vllm:prompt_tokens_by_source_total", source="local_compute")
_ENDED = Metric("vllm:request_success_total")
_BY_REASON, _LORA = "vllm:num_requests_waiting_by_reason", "vllm:lora_requests_info"
_LOST = tuple(Metric(_ENDED.name, (("finished_reason", reason),)) for reason in ("abort", "error"))

VLLM: Final = EngineMap(
    kind=EngineKind.VLLM,
    running=level("vllm:num_requests_running"),
    waiting=level("vllm:num_requests_waiting"),
    kv_usage=level("vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc", by="mean"),
    kv_size=(KvSize(Label(_CONFIG, "num_gpu_blocks", by="sum"), Label(_CONFIG, "block_size")),),
    prefix_hits=(
        share("vllm:prefix_cache_hits_total", "vllm:prefix_cache_queries_total"),
        share("vllm:gpu_prefix_cache_hits_total", "vllm:gpu_prefix_cache_queries_total"),
        *level("vllm:gpu_prefix_cache_hit_rate", by="mean"),
    ),
    prefill=(
        _COMPUTED,
        *(Flow((_PROMPT,), minus=cached.plus) for cached in _CACHED),
        Flow((_PROMPT,)),
    ),
    cached=_CACHED,
    decode=flow("vllm:generation_tokens_total"),
    finished=(Flow((_ENDED,), less=_LOST),),
    failed=(Flow((), also=_LOST, needs=(_ENDED,)),),
    rejected=flow("vllm:admission_rejections_total"),
    preemptions=flow("vllm:num_preemptions_total"),
    steps=flow("vllm:iteration_tokens_total_count"),
    ttft=spread("vllm:time_to_first_token_seconds"),
    itl=spread("vllm:inter_token_latency_seconds", "vllm:time_per_output_token_seconds"),
    tpot=spread("vllm:request_time_per_output_token_seconds"),
    e2e=spread("vllm:e2e_request_latency_seconds"),
    queue=spread("vllm:request_queue_time_seconds"),
    acceptance=(
        share(
            "vllm:spec_decode_num_accepted_tokens_total", "vllm:spec_decode_num_draft_tokens_total"
        ),
    ),
    drafts=(share("vllm:spec_decode_num_draft_tokens_total", "vllm:spec_decode_num_drafts_total"),),
    flops=flow("vllm:estimated_flops_per_gpu_total"),
    read_bytes=flow("vllm:estimated_read_bytes_per_gpu_total"),
    further=(
        mean_time("prefill time", "vllm:request_prefill_time_seconds"),
        mean_time("decode time", "vllm:request_decode_time_seconds"),
        mean_time("inference time", "vllm:request_inference_time_seconds"),
        mean_count("tokens a step", "vllm:iteration_tokens_total"),
        mean_count("prompt tokens", "vllm:request_prompt_tokens"),
        mean_count("output tokens", "vllm:request_generation_tokens"),
        gauge("waiting, full", _BY_REASON, reason="capacity"),
        gauge("waiting, held", _BY_REASON, reason="deferred"),
        names_in("LoRA running", _LORA, "running_lora_adapters"),
        names_in("LoRA waiting", _LORA, "waiting_lora_adapters"),
        Further("LoRA at most", Unit.COUNT, Label(Metric(_LORA), "max_lora")),
        share_of(
            "external hits",
            "vllm:external_prefix_cache_hits_total",
            "vllm:external_prefix_cache_queries_total",
        ),
        share_of("media hits", "vllm:mm_cache_hits_total", "vllm:mm_cache_queries_total"),
        gauge("CPU KV usage", "vllm:kv_offload_cpu_cache_usage_perc", Unit.SHARE),
        gauge("CPU KV usage", "vllm:hisparse_host_cache_usage_perc", Unit.SHARE),
        gauge("CPU KV blocks", "vllm:simple_kv_offload_used_blocks"),
        per_s("KV to CPU", "vllm:kv_offload_store_bytes_total", Unit.BYTES_PER_S),
        per_s("KV from CPU", "vllm:kv_offload_load_bytes_total", Unit.BYTES_PER_S),
        per_s("KV blocks back", "vllm:simple_kv_offload_load_blocks_total"),
        per_s("KV to tiers", "vllm:kv_offload_tiering_write_bytes_total", Unit.BYTES_PER_S),
        per_s("KV from tiers", "vllm:kv_offload_tiering_read_bytes_total", Unit.BYTES_PER_S),
        share_of(
            "tier hits",
            "vllm:kv_offload_tiering_chunk_hits_total",
            "vllm:kv_offload_tiering_chunk_queries_total",
        ),
        per_s("KV received", "vllm:nixl_bytes_transferred_sum", Unit.BYTES_PER_S),
        mean_time("KV block lives", "vllm:kv_block_lifetime_seconds"),
        mean_time("KV block idles", "vllm:kv_block_idle_before_evict_seconds"),
        per_s("corrupted", "vllm:corrupted_requests_total"),
    ),
    rank_labels=("engine",),
    absent={
        Figure.BATCH_ROWS: "vLLM counts a step's tokens, not its sequences",
        Figure.MAX_SEQS: "vLLM does not export --max-num-seqs",
        Figure.MEMORY: "vLLM does not export it: see the GPU's own figures",
        Figure.ACCEPTANCE: "no speculative decoding",
        Figure.MFU: "start vLLM with --enable-mfu-metrics",
        Figure.MBU: "start vLLM with --enable-mfu-metrics",
        Figure.TPOT: "this vLLM is too old for it",
    },
    endpoints=(VERSION, MODELS),
)
