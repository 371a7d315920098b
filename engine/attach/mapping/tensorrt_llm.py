"""TensorRT-LLM's metrics: `trtllm-serve` has them at `/prometheus/metrics`, and iteration
statistics as JSON at `/metrics`.

Dynamo's mocker of one has vLLM's names for what TensorRT-LLM does not tell: ITL, preemptions.
"""

from typing import Final

from ...protocol import EngineKind, Figure, Unit
from .engine_map import EngineMap, KvSize
from .further import Further, gauge, mean_time, per_s
from .source import Flow, Level, Metric, Share, flow, level, share, spread
from .vllm import MODELS, VERSION

_PROMPT, _HIT = Metric("trtllm_prompt_tokens_total"), Metric("trtllm_prompt_cached_tokens_total")
_ITERATION: Final = "trtllm_iteration_latency_seconds"
_REUSED, _MISSED = (Metric(f"trtllm_kv_cache_{what}_blocks_total") for what in ("reused", "missed"))

TENSORRT_LLM: Final = EngineMap(
    kind=EngineKind.TENSORRT_LLM,
    running=level("trtllm_num_requests_running", "/metrics numActiveRequests"),
    waiting=level("trtllm_num_requests_waiting", "/metrics numQueuedRequests"),
    kv_usage=level(
        "trtllm_kv_cache_utilization", "/metrics kvUsage", "trtllm_kv_cache_usage_perc", by="mean"
    ),
    kv_size=(
        KvSize(
            *level("trtllm_kv_cache_max_blocks"),
            *level("trtllm_kv_cache_tokens_per_block", by="max"),
        ),
        KvSize(*level("/metrics maxNumBlocks"), *level("/metrics tokensPerBlock")),
    ),
    prefix_hits=(
        Share(Flow((_HIT,)), Flow((_PROMPT,))),
        Share(Flow((_REUSED,)), Flow((_REUSED, _MISSED))),
        *level("trtllm_kv_cache_hit_rate", by="mean"),
    ),
    prefill=(Flow((_PROMPT,), minus=(_HIT,), at_end=True), Flow((_PROMPT,), at_end=True)),
    cached=(Flow((_HIT,), at_end=True),),
    decode=flow("trtllm_generation_tokens_total", at_end=True),
    finished=flow("trtllm_request_success_total"),
    failed=flow("trtllm_request_error_total"),
    preemptions=flow("trtllm_num_preemptions_total"),
    ttft=spread("trtllm_time_to_first_token_seconds"),
    itl=spread("trtllm_inter_token_latency_seconds"),
    tpot=spread("trtllm_time_per_output_token_seconds"),
    e2e=spread("trtllm_e2e_request_latency_seconds"),
    queue=spread("trtllm_request_queue_time_seconds"),
    acceptance=(
        share(
            "trtllm_spec_decode_num_accepted_tokens_total",
            "trtllm_spec_decode_num_draft_tokens_total",
        ),
        share(
            "trtllm_spec_decode_accepted_tokens_total", "trtllm_spec_decode_drafted_tokens_total"
        ),
    ),
    accept_length=level("trtllm_spec_decode_acceptance_length", by="mean"),
    max_seqs=level(
        "trtllm_max_batch_size_runtime",
        "trtllm_max_num_active_requests",
        "/metrics maxNumActiveRequests",
    ),
    further=(
        mean_time("prefill time", "trtllm_request_prefill_time_seconds"),
        mean_time("decode time", "trtllm_request_decode_time_seconds"),
        mean_time("inference time", "trtllm_request_inference_time_seconds"),
        Further("iteration", Unit.MILLISECONDS, Level((Metric(_ITERATION),), by="mean", scale=1e3)),
        gauge("in prefill", "trtllm_num_context_requests"),
        gauge("in decode", "trtllm_num_generation_requests"),
        gauge("paused", "trtllm_num_paused_requests"),
        gauge("host KV usage", "trtllm_kv_cache_host_utilization", Unit.SHARE),
        per_s("KV to host", "trtllm_kv_cache_offload_bytes_total", Unit.BYTES_PER_S),
        per_s("KV from host", "trtllm_kv_cache_onboard_bytes_total", Unit.BYTES_PER_S),
        per_s("KV from disk", "trtllm_kv_cache_disk_prefetch_blocks_total"),
        gauge("GPU memory", "trtllm_gpu_memory_usage_bytes", Unit.BYTES),
        gauge("CPU memory", "trtllm_cpu_memory_usage_bytes", Unit.BYTES),
        gauge("pinned memory", "trtllm_pinned_memory_usage_bytes", Unit.BYTES),
    ),
    absent={
        **dict.fromkeys(
            (Figure.TTFT, Figure.TPOT, Figure.E2E, Figure.QUEUE_TIME, Figure.REQUESTS_PER_S),
            "needs return_perf_metrics: true among trtllm-serve's options",
        ),
        Figure.ITL: "TensorRT-LLM measures TPOT only",
        Figure.STEPS_PER_S: "TensorRT-LLM tells only its last iteration",
        Figure.BATCH_ROWS: "TensorRT-LLM tells only its last iteration",
        Figure.MEMORY: "TensorRT-LLM tells only the whole GPU's",
        Figure.ACCEPTANCE: "no speculative decoding",
    },
    endpoints=(VERSION, MODELS),
    metrics_paths=("/prometheus/metrics", "/metrics"),
)
