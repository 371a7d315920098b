"""SGLang's metrics (`--enable-metrics`), and `/v1/loads`.

Its token counters move when a request ends; `realtime_tokens_total` moves with each batch. Ranks of
tensor, pipeline and expert parallelism tell the same requests: one of them is read.
"""

from typing import Final

from ...protocol import EngineKind, Figure, Unit
from .engine_map import Endpoint, EngineMap, KvSize
from .further import gauge, mean_count, mean_time, per_s
from .source import Flow, Level, Metric, Share, flow, flow_of, level, share, spread
from .vllm import MODELS

_GIB: Final = 2.0**30
_REALTIME: Final = "sglang:realtime_tokens_total"
_COMPUTED = flow_of(_REALTIME, mode="prefill_compute")
_CACHED = flow_of(_REALTIME, mode="prefill_cache")
_PROMPT, _HIT = Metric("sglang:prompt_tokens_total"), Metric("sglang:cached_tokens_total")
_ENDED, _ABORTED = (Metric(f"sglang:num_{what}_total") for what in ("requests", "aborted_requests"))
_RESPONSES = Metric("sglang:http_responses_total")
_FULL = tuple(
    Metric(_RESPONSES.name, (("endpoint", path), ("status_code", "503")))
    for path in ("/v1/chat/completions", "/v1/completions", "/v1/responses", "/generate")
)
"""Its queue was full; other paths answer 503 for other reasons."""
_STAGE: Final = "sglang:per_stage_req_latency_seconds"
_OFF: Final = "start SGLang with --enable-metrics"


def _gib(name: str, field: str) -> tuple[Level, ...]:
    return (Level((Metric(name),), scale=_GIB), *level(field))


SGLANG: Final = EngineMap(
    kind=EngineKind.SGLANG,
    running=level("sglang:num_running_reqs", "/v1/loads num_running_reqs"),
    waiting=(
        Level((Metric("sglang:num_queue_reqs"),), also=(Metric("sglang:num_grammar_queue_reqs"),)),
        *level("/v1/loads num_waiting_reqs"),
    ),
    kv_usage=level(
        "sglang:token_usage", "sglang:full_token_usage", "/v1/loads token_usage", by="mean"
    ),
    kv_size=(
        KvSize(*level("sglang:num_pages"), *level("sglang:page_size", by="max")),
        KvSize(*level("sglang:max_total_num_tokens")),
        KvSize(*level("/v1/loads max_total_num_tokens")),
    ),
    prefix_hits=(
        Share(_CACHED, Flow(_CACHED.plus + _COMPUTED.plus)),
        share("sglang:cached_tokens_total", "sglang:prompt_tokens_total"),
    ),
    prefill=(
        _COMPUTED,
        Flow((_PROMPT,), minus=(_HIT,), at_end=True),
        Flow((_PROMPT,), at_end=True),
    ),
    cached=(_CACHED, Flow((_HIT,), at_end=True)),
    decode=(
        flow_of(_REALTIME, mode="decode"),
        *level("sglang:gen_throughput", "/v1/loads gen_throughput"),
        *flow("sglang:generation_tokens_total", at_end=True),
    ),
    finished=(Flow((_ENDED,), less=(_ABORTED,)),),
    failed=(Flow((), also=(_ABORTED,), needs=(_ENDED,)),),
    rejected=(Flow((), also=_FULL, needs=(_RESPONSES,)),),
    preemptions=flow("sglang:num_retracted_requests_total"),
    ttft=spread("sglang:time_to_first_token_seconds"),
    itl=spread("sglang:inter_token_latency_seconds"),
    tpot=spread(
        "sglang:request_time_per_output_token_seconds", "sglang:time_per_output_token_seconds"
    ),
    e2e=spread("sglang:e2e_request_latency_seconds"),
    queue=spread("sglang:queue_time_seconds"),
    acceptance=level("sglang:spec_accept_rate", by="mean"),
    accept_length=level("sglang:spec_accept_length", by="mean"),
    flops=flow("sglang:estimated_flops_per_gpu_total"),
    read_bytes=flow("sglang:estimated_read_bytes_per_gpu_total"),
    busy_s=flow("sglang:forward_execution_seconds_total"),
    memory_weights=_gib("sglang:weight_memory_usage_gb", "/v1/loads weight_bytes"),
    memory_kv=_gib("sglang:kv_cache_memory_usage_gb", "/v1/loads kv_cache_bytes"),
    memory_graphs=_gib("sglang:graph_memory_usage_gb", "/v1/loads graph_bytes"),
    max_seqs=level("/v1/loads max_running_requests", "/server_info max_running_requests"),
    context_tokens=level("sglang:context_len", by="max"),
    further=(
        mean_time("prefill wait", _STAGE, stage="prefill_waiting"),
        mean_time("prefill time", _STAGE, stage="prefill_forward"),
        mean_time("decode time", _STAGE, stage="decode_forward"),
        mean_time("KV transfer", _STAGE, stage="prefill_transfer_kv_cache"),
        mean_count("prompt tokens", "sglang:prompt_tokens_histogram"),
        mean_count("output tokens", "sglang:generation_tokens_histogram"),
        gauge("waiting, schema", "sglang:num_grammar_queue_reqs"),
        gauge("paused", "sglang:num_paused_reqs"),
        gauge("retracted", "sglang:num_retracted_reqs"),
        gauge("P bootstrap", "sglang:num_prefill_bootstrap_queue_reqs"),
        gauge("P in flight", "sglang:num_prefill_inflight_queue_reqs"),
        gauge("D prealloc", "sglang:num_decode_prealloc_queue_reqs"),
        gauge("D transfer", "sglang:num_decode_transfer_queue_reqs"),
        gauge("LoRA slots used", "sglang:lora_pool_slots_used"),
        gauge("LoRA slots", "sglang:lora_pool_slots_total"),
        gauge("SWA KV usage", "sglang:swa_token_usage", Unit.SHARE),
        gauge("mamba usage", "sglang:mamba_usage", Unit.SHARE),
        gauge("host KV tokens", "sglang:hicache_host_used_tokens"),
        gauge("host KV size", "sglang:hicache_host_total_tokens"),
        per_s("KV to host", "sglang:hicache_backup_tokens_total", Unit.TOKENS_PER_S),
        per_s("KV from host", "sglang:load_back_tokens_total", Unit.TOKENS_PER_S),
        per_s("KV to storage", "sglang:backuped_tokens_total", Unit.TOKENS_PER_S),
        per_s("KV from storage", "sglang:prefetched_tokens_total", Unit.TOKENS_PER_S),
        per_s("KV evicted", "sglang:evicted_tokens_total", Unit.TOKENS_PER_S),
        per_s("scheduler idle", "sglang:scheduler_idle_seconds_total", Unit.SHARE),
    ),
    rank_labels=("dp_rank",),
    same_labels=("tp_rank", "pp_rank", "moe_ep_rank"),
    absent={
        Figure.STEPS_PER_S: "SGLang does not count its steps",
        Figure.BATCH_ROWS: "SGLang does not count its steps",
        Figure.ACCEPTANCE: "no speculative decoding",
        Figure.MFU: "start SGLang with --enable-mfu-metrics",
        Figure.MBU: "start SGLang with --enable-mfu-metrics",
        Figure.REJECTED_PER_S: "this SGLang does not count its HTTP answers",
        **dict.fromkeys((Figure.TTFT, Figure.ITL, Figure.E2E, Figure.DECODE_TOK_S), _OFF),
        **dict.fromkeys((Figure.FINISHED, Figure.FAILED, Figure.REQUESTS_PER_S), _OFF),
    },
    endpoints=(MODELS, Endpoint("/server_info", 60.0), Endpoint("/v1/loads", 5.0)),
)
