"""What each engine exports, by its documented names: every figure is another number.

Rates are per second; see `exposition_writer`.
"""

from dataclasses import dataclass, field, replace

from exposition_writer import Buckets, Sample, Told
from prodtop.engine.protocol import EngineKind, Figure

TTFT_S = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25)
GAPS_S = (0.01, 0.025, 0.05, 0.075, 0.1)
REQUEST_S = (0.3, 0.5, 0.8, 1.0, 1.5, 2.0)


def hist(name: str, bounds: tuple[float, ...], place: int, mean: float, **labels: str) -> Buckets:
    """Four values a second, all in one bucket."""
    per_s = tuple(4.0 if each == place else 0.0 for each in range(len(bounds) + 1))
    return Buckets(name, bounds, per_s, mean, labels)


@dataclass(frozen=True)
class EngineSample:
    """What a server tells, and what is to be read from it: values, or of a latency its mean in ms.
    All other figures are missing."""

    kind: EngineKind
    told: Told
    expected: dict[Figure, float | str]
    answers: dict[str, bytes] = field(default_factory=dict)
    ranks: int = 1


def vllm_latencies(prefix: str) -> tuple[Buckets, ...]:
    return (
        hist(f"{prefix}time_to_first_token_seconds", TTFT_S, 4, 0.03),
        hist(f"{prefix}inter_token_latency_seconds", GAPS_S, 1, 0.02),
        hist(f"{prefix}request_time_per_output_token_seconds", GAPS_S, 1, 0.021),
        hist(f"{prefix}e2e_request_latency_seconds", REQUEST_S, 2, 0.6),
        hist(f"{prefix}request_queue_time_seconds", REQUEST_S, 0, 0.05),
        hist(f"{prefix}iteration_tokens_total", (1.0, 8.0, 16.0), 1, 5.0),
    )


_VLLM_LATENCY = {
    Figure.TTFT: 30.0,
    Figure.ITL: 20.0,
    Figure.TPOT: 21.0,
    Figure.E2E: 600.0,
    Figure.QUEUE_TIME: 50.0,
}


def vllm_told(prefix: str = "vllm:", **labels: str) -> Told:
    """One rank of a vLLM of today."""

    def of(reason: str, per_s: float) -> Sample:
        return Sample(f"{prefix}request_success_total", per_s, {"finished_reason": reason})

    config = {"block_size": "16", "num_gpu_blocks": "1000", "enable_prefix_caching": "True"}
    return Told(
        gauges=(
            Sample(f"{prefix}num_requests_running", 6.0),
            Sample(f"{prefix}num_requests_waiting", 2.0),
            Sample(f"{prefix}kv_cache_usage_perc", 0.25),
            Sample(f"{prefix}cache_config_info", 1.0, config),
        ),
        counters=(
            Sample(f"{prefix}prompt_tokens_total", 500.0),
            Sample(f"{prefix}prompt_tokens_by_source_total", 300.0, {"source": "local_compute"}),
            Sample(f"{prefix}prompt_tokens_by_source_total", 200.0, {"source": "local_cache_hit"}),
            Sample(f"{prefix}prompt_tokens_cached_total", 200.0),
            Sample(f"{prefix}generation_tokens_total", 1000.0),
            Sample(f"{prefix}prefix_cache_queries_total", 500.0),
            Sample(f"{prefix}prefix_cache_hits_total", 200.0),
            Sample(f"{prefix}num_preemptions_total", 1.0),
            of("stop", 3.0),
            of("length", 1.0),
            of("abort", 0.5),
            of("error", 0.0),
            Sample(f"{prefix}spec_decode_num_drafts_total", 100.0),
            Sample(f"{prefix}spec_decode_num_draft_tokens_total", 300.0),
            Sample(f"{prefix}spec_decode_num_accepted_tokens_total", 180.0),
            Sample(f"{prefix}admission_rejections_total", 0.5, {"reason": "queue"}),
        ),
        histograms=vllm_latencies(prefix),
        shared={"model_name": "meta-llama/Llama-3.1-8B", "engine": "0", **labels},
    )


_VLLM_EXPECTED: dict[Figure, float | str] = {
    Figure.RUNNING: 6,
    Figure.WAITING: 2,
    Figure.KV_USAGE: 0.25,
    Figure.KV_SIZE: 1000,
    Figure.PREFIX_HITS: 0.4,
    Figure.PREFILL_TOK_S: 300.0,
    Figure.CACHED_TOK_S: 200.0,
    Figure.DECODE_TOK_S: 1000.0,
    Figure.REQUESTS_PER_S: 4.0,
    Figure.ARRIVALS_PER_S: 5.0,
    Figure.REJECTED_PER_S: 0.5,
    Figure.STEPS_PER_S: 4.0,
    Figure.FINISHED: 40,
    Figure.FAILED: 5,
    Figure.PREEMPTIONS: 10,
    Figure.ACCEPTANCE: 0.6,
    Figure.MODEL: "meta-llama/Llama-3.1-8B",
    **_VLLM_LATENCY,
}

VLLM = EngineSample(
    EngineKind.VLLM, vllm_told(), _VLLM_EXPECTED, {"/version": b'{"version": "0.33.0"}'}
)

_OLD = {
    Figure.TPOT,
    Figure.REJECTED_PER_S,
    Figure.ACCEPTANCE,
}
OLD_VLLM = EngineSample(
    EngineKind.VLLM,
    Told(
        gauges=(
            Sample("vllm:num_requests_running", 6.0),
            Sample("vllm:num_requests_waiting", 2.0),
            Sample("vllm:gpu_cache_usage_perc", 0.25),
        ),
        counters=(
            Sample("vllm:prompt_tokens_total", 500.0),
            Sample("vllm:generation_tokens_total", 1000.0),
            Sample("vllm:gpu_prefix_cache_queries_total", 500.0),
            Sample("vllm:gpu_prefix_cache_hits_total", 200.0),
            Sample("vllm:num_preemptions", 1.0),
            Sample("vllm:request_success_total", 4.0, {"finished_reason": "stop"}),
            Sample("vllm:request_success_total", 0.5, {"finished_reason": "abort"}),
        ),
        histograms=(
            hist("vllm:time_to_first_token_seconds", TTFT_S, 4, 0.03),
            hist("vllm:time_per_output_token_seconds", GAPS_S, 1, 0.02),
            hist("vllm:e2e_request_latency_seconds", REQUEST_S, 2, 0.6),
            hist("vllm:request_queue_time_seconds", REQUEST_S, 0, 0.05),
            hist("vllm:iteration_tokens_total", (1.0, 8.0, 16.0), 1, 5.0),
        ),
        shared={"model_name": "m", "engine": "0"},
    ),
    {
        **{f: v for f, v in _VLLM_EXPECTED.items() if f not in _OLD and f is not Figure.KV_SIZE},
        Figure.ARRIVALS_PER_S: 4.5,
        Figure.MODEL: "m",
    },
)
"""Names of vLLM 0.8 and before."""

RAY = EngineSample(
    EngineKind.RAY_SERVE,
    vllm_told("ray_vllm_", ReplicaId="r1", WorkerId="w1"),
    {
        **_VLLM_EXPECTED,
        Figure.TTFT: 30.0,
        Figure.ITL: 17.5,
        Figure.TPOT: 17.5,
        Figure.E2E: 650.0,
        Figure.QUEUE_TIME: 300.0,
    },
)
"""Of latencies the median within the bucket: Ray's sums are not exact."""


def _ray_gauges() -> tuple[Sample, ...]:
    return (
        Sample("ray_serve_replica_processing_queries", 4.0, {"replica": "a"}),
        Sample("ray_serve_replica_processing_queries", 2.0, {"replica": "b"}),
        Sample("ray_serve_deployment_queued_queries", 3.0),
        Sample("ray_node_cpu_count", 2.0),
    )


RAY_ALONE = EngineSample(
    EngineKind.RAY_SERVE,
    Told(
        gauges=_ray_gauges(),
        counters=(
            Sample("ray_serve_num_http_requests", 5.0, {"route": "/"}),
            Sample("ray_serve_num_http_error_requests", 1.0, {"route": "/"}),
        ),
        histograms=(
            hist("ray_serve_deployment_processing_latency_ms", (100.0, 500.0, 1000.0), 2, 600.0),
        ),
    ),
    {
        Figure.RUNNING: 6,
        Figure.WAITING: 3,
        Figure.REQUESTS_PER_S: 4.0,
        Figure.ARRIVALS_PER_S: 5.0,
        Figure.FINISHED: 40,
        Figure.FAILED: 10,
        Figure.E2E: 750.0,
    },
)

SGLANG = EngineSample(
    EngineKind.SGLANG,
    Told(
        gauges=(
            Sample("sglang:num_running_reqs", 6.0),
            Sample("sglang:num_queue_reqs", 2.0),
            Sample("sglang:num_grammar_queue_reqs", 1.0),
            Sample("sglang:token_usage", 0.25),
            Sample("sglang:num_pages", 1000.0),
            Sample("sglang:page_size", 64.0),
            Sample("sglang:cache_hit_rate", 0.99),
            Sample("sglang:gen_throughput", 777.0),
            Sample("sglang:spec_accept_rate", 0.6),
            Sample("sglang:spec_accept_length", 2.8),
            Sample("sglang:weight_memory_usage_gb", 15.0),
            Sample("sglang:kv_cache_memory_usage_gb", 40.0),
            Sample("sglang:graph_memory_usage_gb", 1.0),
        ),
        counters=(
            Sample("sglang:realtime_tokens_total", 300.0, {"mode": "prefill_compute"}),
            Sample("sglang:realtime_tokens_total", 200.0, {"mode": "prefill_cache"}),
            Sample("sglang:realtime_tokens_total", 1000.0, {"mode": "decode"}),
            Sample("sglang:prompt_tokens_total", 500.0, {"is_streaming": "True"}),
            Sample("sglang:generation_tokens_total", 999.0, {"is_streaming": "True"}),
            Sample("sglang:num_requests_total", 4.5),
            Sample("sglang:num_aborted_requests_total", 0.5),
            Sample("sglang:num_retracted_requests_total", 1.0),
            Sample(
                "sglang:http_responses_total",
                0.25,
                {"endpoint": "/v1/chat/completions", "status_code": "503", "method": "POST"},
            ),
            Sample(
                "sglang:http_responses_total",
                9.0,
                {"endpoint": "/health", "status_code": "503", "method": "GET"},
            ),
            Sample("sglang:forward_execution_seconds_total", 0.9),
        ),
        histograms=(
            hist("sglang:time_to_first_token_seconds", TTFT_S, 4, 0.03),
            hist("sglang:inter_token_latency_seconds", (0.002, 0.004, 0.03), 2, 0.02),
            hist("sglang:e2e_request_latency_seconds", REQUEST_S, 2, 0.6),
            hist("sglang:queue_time_seconds", REQUEST_S, 0, 0.05),
        ),
        shared={
            "model_name": "qwen",
            "engine_type": "unified",
            "tp_rank": "0",
            "pp_rank": "0",
            "moe_ep_rank": "0",
        },
    ),
    {
        Figure.RUNNING: 6,
        Figure.WAITING: 3,
        Figure.KV_USAGE: 0.25,
        Figure.KV_SIZE: 1000,
        Figure.PREFIX_HITS: 0.4,
        Figure.PREFILL_TOK_S: 300.0,
        Figure.CACHED_TOK_S: 200.0,
        Figure.DECODE_TOK_S: 1000.0,
        Figure.REQUESTS_PER_S: 4.0,
        Figure.ARRIVALS_PER_S: 4.75,
        Figure.REJECTED_PER_S: 0.25,
        Figure.FINISHED: 40,
        Figure.FAILED: 5,
        Figure.PREEMPTIONS: 10,
        Figure.ACCEPTANCE: 0.6,
        Figure.MODEL: "qwen",
        Figure.MEMORY: 56 * 2**30,
        Figure.MAX_SEQS: 128,
        Figure.TTFT: 30.0,
        Figure.ITL: 20.0,
        Figure.E2E: 600.0,
        Figure.QUEUE_TIME: 50.0,
    },
    {
        "/server_info": b'{"version": "0.5.23", "max_running_requests": 128, "model_path": "q"}',
    },
)

TENSORRT_LLM = EngineSample(
    EngineKind.TENSORRT_LLM,
    Told(
        gauges=(
            Sample("trtllm_num_requests_running", 6.0),
            Sample("trtllm_num_requests_waiting", 2.0),
            Sample("trtllm_kv_cache_utilization", 0.25),
            Sample("trtllm_kv_cache_hit_rate", 0.99),
            Sample("trtllm_kv_cache_max_blocks", 1000.0),
            Sample("trtllm_kv_cache_tokens_per_block", 32.0),
            Sample("trtllm_max_batch_size_runtime", 64.0),
            Sample("trtllm_gpu_memory_usage_bytes", 1e10),
        ),
        counters=(
            Sample("trtllm_prompt_tokens_total", 500.0),
            Sample("trtllm_prompt_cached_tokens_total", 200.0),
            Sample("trtllm_generation_tokens_total", 1000.0),
            Sample("trtllm_request_success_total", 4.0, {"finished_reason": "stop"}),
            Sample("trtllm_request_error_total", 0.5),
        ),
        histograms=(
            hist("trtllm_time_to_first_token_seconds", TTFT_S, 4, 0.03),
            hist("trtllm_time_per_output_token_seconds", GAPS_S, 1, 0.021),
            hist("trtllm_e2e_request_latency_seconds", REQUEST_S, 2, 0.6),
            hist("trtllm_request_queue_time_seconds", REQUEST_S, 0, 0.05),
        ),
        shared={"model_name": "nemotron", "engine_type": "trtllm"},
    ),
    {
        Figure.RUNNING: 6,
        Figure.WAITING: 2,
        Figure.KV_USAGE: 0.25,
        Figure.KV_SIZE: 1000,
        Figure.PREFIX_HITS: 0.4,
        Figure.PREFILL_TOK_S: 300.0,
        Figure.CACHED_TOK_S: 200.0,
        Figure.DECODE_TOK_S: 1000.0,
        Figure.REQUESTS_PER_S: 4.0,
        Figure.ARRIVALS_PER_S: 4.5,
        Figure.FINISHED: 40,
        Figure.FAILED: 5,
        Figure.MODEL: "nemotron",
        Figure.MAX_SEQS: 64,
        Figure.TTFT: 30.0,
        Figure.TPOT: 21.0,
        Figure.E2E: 600.0,
        Figure.QUEUE_TIME: 50.0,
    },
)


def _triton() -> Told:
    def requests(kind: str, value: float) -> Sample:
        return Sample("nv_trt_llm_request_metrics", value, {"request_type": kind})

    def blocks(kind: str, value: float) -> Sample:
        labels = {"kv_cache_block_type": kind}
        return Sample("nv_trt_llm_kv_cache_block_metrics", value, labels)

    return Told(
        gauges=(
            requests("scheduled", 6.0),
            requests("waiting", 2.0),
            requests("max", 64.0),
            blocks("fraction", 0.25),
            blocks("max", 1000.0),
            blocks("used", 250.0),
            blocks("tokens_per", 64.0),
        ),
        counters=tuple(
            Sample(name, per_s, {"model": model, "version": "1"})
            for model in ("ensemble", "preprocessing", "tensorrt_llm")
            for name, per_s in (
                ("nv_inference_request_success", 4.0),
                ("nv_inference_request_failure", 0.5),
                ("nv_inference_request_duration_us", 2.4e6),
                ("nv_inference_queue_duration_us", 2e5),
            )
        ),
    )


TRITON = EngineSample(
    EngineKind.TRITON,
    _triton(),
    {
        Figure.RUNNING: 6,
        Figure.WAITING: 2,
        Figure.KV_USAGE: 0.25,
        Figure.KV_SIZE: 1000,
        Figure.REQUESTS_PER_S: 4.0,
        Figure.ARRIVALS_PER_S: 4.5,
        Figure.FINISHED: 40,
        Figure.FAILED: 5,
        Figure.MAX_SEQS: 64,
        Figure.E2E: 600.0,
        Figure.QUEUE_TIME: 50.0,
    },
)

TGI = EngineSample(
    EngineKind.TGI,
    Told(
        gauges=(Sample("tgi_batch_current_size", 6.0), Sample("tgi_queue_size", 2.0)),
        counters=(
            Sample("tgi_request_count", 5.0),
            Sample("tgi_request_success", 4.0),
            Sample("tgi_request_failure", 0.5, {"err": "generation"}),
            Sample("tgi_request_failure", 0.25, {"err": "overloaded"}),
            Sample("tgi_batch_inference_count", 3.0, {"method": "prefill"}),
            Sample("tgi_batch_inference_count", 40.0, {"method": "decode"}),
        ),
        histograms=(
            hist("tgi_request_input_length", (128.0, 256.0), 0, 100.0),
            hist("tgi_request_generated_tokens", (128.0, 256.0), 1, 250.0),
            hist("tgi_request_duration", REQUEST_S, 2, 0.6),
            hist("tgi_request_queue_duration", REQUEST_S, 0, 0.05),
            hist("tgi_request_mean_time_per_token_duration", GAPS_S, 1, 0.021),
        ),
    ),
    {
        Figure.RUNNING: 6,
        Figure.WAITING: 2,
        Figure.PREFILL_TOK_S: 400.0,
        Figure.DECODE_TOK_S: 1000.0,
        Figure.REQUESTS_PER_S: 4.0,
        Figure.ARRIVALS_PER_S: 4.75,
        Figure.REJECTED_PER_S: 0.25,
        Figure.STEPS_PER_S: 43.0,
        Figure.FINISHED: 40,
        Figure.FAILED: 5,
        Figure.MODEL: "bigcode/x",
        Figure.MAX_SEQS: 128,
        Figure.TPOT: 21.0,
        Figure.E2E: 600.0,
        Figure.QUEUE_TIME: 50.0,
    },
    {"/info": b'{"model_id": "bigcode/x", "version": "3", "max_concurrent_requests": 128}'},
)

LLAMA_CPP = EngineSample(
    EngineKind.LLAMA_CPP,
    Told(
        gauges=(
            Sample("llamacpp:requests_processing", 6.0),
            Sample("llamacpp:requests_deferred", 2.0),
            Sample("llamacpp:n_busy_slots_per_decode", 1.5),
            Sample("llamacpp:predicted_tokens_seconds", 12.0),
        ),
        counters=(
            Sample("llamacpp:prompt_tokens_total", 300.0),
            Sample("llamacpp:prompt_tokens_cached_total", 200.0),
            Sample("llamacpp:tokens_predicted_total", 1000.0),
            Sample("llamacpp:tokens_predicted_seconds_total", 20.0),
            Sample("llamacpp:n_decode_total", 50.0),
            Sample("llamacpp:spec_decode_num_drafts_total", 100.0),
            Sample("llamacpp:spec_decode_num_draft_tokens_total", 300.0),
            Sample("llamacpp:spec_decode_num_accepted_tokens_total", 180.0),
        ),
    ),
    {
        Figure.RUNNING: 6,
        Figure.WAITING: 2,
        Figure.KV_USAGE: 0.25,
        Figure.KV_SIZE: 4096,
        Figure.PREFIX_HITS: 0.4,
        Figure.PREFILL_TOK_S: 300.0,
        Figure.CACHED_TOK_S: 200.0,
        Figure.DECODE_TOK_S: 1000.0,
        Figure.STEPS_PER_S: 50.0,
        Figure.ACCEPTANCE: 0.6,
        Figure.MODEL: "llama.gguf",
        Figure.MAX_SEQS: 2,
        Figure.ITL: 20.0,
    },
    {
        "/slots": b'[{"n_ctx": 2048, "is_processing": true, "n_prompt_tokens": 1000,'
        b' "prompt": "a secret"}, {"n_ctx": 2048, "n_prompt_tokens": 24}]',
        "/props": b'{"total_slots": 2, "model_path": "/models/llama.gguf", "build_info": "b1",'
        b' "default_generation_settings": {"n_ctx": 2048}}',
    },
)


def _dynamo(prefix: str) -> Told:
    def answered(status: str, per_s: float) -> Sample:
        return Sample(f"{prefix}requests_total", per_s, {"status": status, "model": "qwen"})

    return Told(
        gauges=(
            Sample(f"{prefix}inflight_requests", 8.0),
            Sample(f"{prefix}queued_requests", 2.0),
            Sample(f"{prefix}disconnected_clients", 1.0),
            Sample(f"{prefix}model_max_num_seqs", 64.0),
            Sample(f"{prefix}model_total_kv_blocks", 1000.0),
            Sample(f"{prefix}model_kv_cache_block_size", 16.0),
            Sample(f"{prefix}model_context_length", 8192.0),
            Sample("dynamo_component_gpu_cache_usage_percent", 0.25),
        ),
        counters=(
            answered("success", 4.0),
            answered("error", 0.5),
            Sample(f"{prefix}output_tokens_total", 1000.0),
            Sample(f"{prefix}model_rejection_total", 0.25),
        ),
        histograms=(
            hist(f"{prefix}input_sequence_tokens", (128.0, 256.0), 0, 125.0),
            hist(f"{prefix}cached_tokens", (128.0, 256.0), 0, 50.0),
            hist(f"{prefix}time_to_first_token_seconds", TTFT_S, 4, 0.03),
            hist(f"{prefix}inter_token_latency_seconds", GAPS_S, 1, 0.02),
            hist(f"{prefix}request_duration_seconds", REQUEST_S, 2, 0.6),
        ),
        shared={"model": "qwen"},
    )


_DYNAMO_EXPECTED: dict[Figure, float | str] = {
    Figure.RUNNING: 6,
    Figure.WAITING: 2,
    Figure.KV_USAGE: 0.25,
    Figure.KV_SIZE: 1000,
    Figure.PREFIX_HITS: 0.4,
    Figure.PREFILL_TOK_S: 300.0,
    Figure.CACHED_TOK_S: 200.0,
    Figure.DECODE_TOK_S: 1000.0,
    Figure.REQUESTS_PER_S: 4.0,
    Figure.ARRIVALS_PER_S: 4.75,
    Figure.REJECTED_PER_S: 0.25,
    Figure.FINISHED: 40,
    Figure.FAILED: 5,
    Figure.MODEL: "qwen",
    Figure.MAX_SEQS: 64,
    Figure.TTFT: 30.0,
    Figure.ITL: 20.0,
    Figure.E2E: 600.0,
}
DYNAMO = EngineSample(EngineKind.DYNAMO, _dynamo("dynamo_frontend_"), _DYNAMO_EXPECTED)
RENAMED_DYNAMO = EngineSample(EngineKind.DYNAMO, _dynamo("nim_llm_"), _DYNAMO_EXPECTED)

DYNAMO_WORKER = EngineSample(
    EngineKind.DYNAMO,
    replace(
        vllm_told(worker_id="7", dynamo_component="backend"),
        gauges=(
            *vllm_told().gauges,
            Sample("dynamo_component_gpu_cache_usage_percent", 0.9),
            Sample("dynamo_component_inflight_requests", 77.0),
        ),
    ),
    _VLLM_EXPECTED,
)
"""A worker's port: the engine's own figures are there, and are taken first."""

PROTOCOL = EngineSample(
    EngineKind.UNKNOWN,
    Told(
        gauges=(
            Sample("acme_num_requests_running", 6.0),
            Sample("acme_num_requests_waiting", 2.0),
            Sample("acme_kv_cache_usage_perc", 0.25),
        ),
    ),
    {Figure.RUNNING: 6, Figure.WAITING: 2, Figure.KV_USAGE: 0.25},
)
"""Kubernetes' model server protocol, by a server that nobody knows."""

OPENTELEMETRY = EngineSample(
    EngineKind.UNKNOWN,
    Told(
        histograms=(
            hist("gen_ai_server_time_to_first_token_seconds", TTFT_S, 4, 0.03),
            hist("gen_ai_server_request_duration_seconds", REQUEST_S, 2, 0.6),
        ),
        shared={"gen_ai_request_model": "m"},
    ),
    {Figure.TTFT: 30.0, Figure.E2E: 600.0, Figure.MODEL: "m"},
)

SAMPLES = {
    "vllm": VLLM,
    "old vllm": OLD_VLLM,
    "ray vllm": RAY,
    "ray alone": RAY_ALONE,
    "sglang": SGLANG,
    "tensorrt-llm": TENSORRT_LLM,
    "triton": TRITON,
    "tgi": TGI,
    "llama.cpp": LLAMA_CPP,
    "dynamo": DYNAMO,
    "renamed dynamo": RENAMED_DYNAMO,
    "dynamo worker": DYNAMO_WORKER,
    "kubernetes": PROTOCOL,
    "opentelemetry": OPENTELEMETRY,
}
