"""What a busy vLLM with two data-parallel engines tells at its `/metrics`: some 80 kB."""

from collections.abc import Iterator

MODEL = "meta-llama/Llama-3.1-8B-Instruct"
ENGINES = 2
SECONDS = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5)
LONG_SECONDS = (0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960)
GAPS = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
TOKENS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000, 100000)
HISTOGRAMS = {
    "time_to_first_token_seconds": SECONDS,
    "inter_token_latency_seconds": GAPS,
    "request_time_per_output_token_seconds": GAPS,
    **{
        f"{name}_seconds": LONG_SECONDS
        for name in (
            "e2e_request_latency",
            "request_queue_time",
            "request_inference_time",
            "request_prefill_time",
            "request_decode_time",
        )
    },
    "iteration_tokens_total": TOKENS,
    "request_prompt_tokens": TOKENS,
    "request_generation_tokens": TOKENS,
    "request_max_num_generation_tokens": TOKENS,
    "request_params_max_tokens": TOKENS,
    "request_prefill_kv_computed_tokens": TOKENS,
    "request_params_n": (1, 2, 5, 10, 20),
}
GAUGES = ("num_requests_running", "num_requests_waiting", "kv_cache_usage_perc")
COUNTERS = (
    "num_preemptions",
    "prompt_tokens",
    "prompt_tokens_cached",
    "generation_tokens",
    "prefix_cache_queries",
    "prefix_cache_hits",
    "external_prefix_cache_queries",
    "external_prefix_cache_hits",
    "mm_cache_queries",
    "mm_cache_hits",
)
REASONS = ("stop", "length", "abort", "error", "repetition")
SOURCES = ("local_compute", "local_cache_hit", "external_kv_transfer")
CONFIG = "block_size,cache_dtype,enable_prefix_caching,gpu_memory_utilization,num_gpu_blocks"
HANDLERS = ("/v1/chat/completions", "/v1/completions", "/metrics", "/health", "/v1/models")


def exposition(scrape: int) -> bytes:
    """What it tells at the scrape of that number: counters have grown since the one before."""
    return ("\n".join(_lines(100 * (scrape + 1))) + "\n").encode()


def _lines(count: int) -> Iterator[str]:
    for engine in range(ENGINES):
        own = f'engine="{engine}",model_name="{MODEL}"'
        for number, name in enumerate(GAUGES):
            yield from _told(name, "gauge", [(own, (count % 7 + number) / 10)])
        yield from _told(
            "cache_config_info",
            "gauge",
            [(",".join(f'{name}="16"' for name in CONFIG.split(",")) + f",{own}", 1.0)],
        )
        for name in COUNTERS:
            yield from _counter(name, [(own, 10.0 * count)])
        yield from _counter(
            "request_success", [(f'{own},finished_reason="{each}"', count) for each in REASONS]
        )
        yield from _counter(
            "prompt_tokens_by_source", [(f'{own},source="{each}"', 3 * count) for each in SOURCES]
        )
        for name, bounds in HISTOGRAMS.items():
            yield from _histogram(f"vllm:{name}", own, bounds, count)
    for handler in HANDLERS:
        labels = f'handler="{handler}",method="POST"'
        yield from _histogram("http_request_duration_seconds", labels, SECONDS, count)
    for generation in range(3):
        yield f'python_gc_collections_total{{generation="{generation}"}} {count}'
    yield "process_start_time_seconds 1.7e+09"


def _told(name: str, kind: str, samples: list[tuple[str, float]]) -> Iterator[str]:
    yield f"# HELP vllm:{name} What is told of {name.replace('_', ' ')}."
    yield f"# TYPE vllm:{name} {kind}"
    for labels, value in samples:
        yield f"vllm:{name}{{{labels}}} {value}"


def _counter(name: str, samples: list[tuple[str, float]]) -> Iterator[str]:
    yield from _told(f"{name}_total", "counter", samples)
    yield from _told(f"{name}_created", "gauge", [(labels, 1.7e9) for labels, _ in samples])


def _histogram(name: str, labels: str, bounds: tuple[float, ...], count: int) -> Iterator[str]:
    yield f"# HELP {name} Histogram of {name}."
    yield f"# TYPE {name} histogram"
    for place, bound in enumerate(bounds):
        below = count * (place + 1) / len(bounds)
        yield f'{name}_bucket{{{labels},le="{float(bound)}"}} {below}'
    yield f'{name}_bucket{{{labels},le="+Inf"}} {float(count)}'
    yield f"{name}_count{{{labels}}} {float(count)}"
    yield f"{name}_sum{{{labels}}} {count * 0.3}"
    yield f"{name}_created{{{labels}}} 1.7e+09"
