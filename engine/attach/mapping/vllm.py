"""vLLM's metrics, those of older releases too; under Ray they are the same with `ray_` before.

Prompt tokens include cached ones; computed ones are told apart since the counter by source exists.
"""

from typing import Final

from ...protocol import EngineKind, Figure
from .engine_map import Endpoint, EngineMap, KvSize
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
