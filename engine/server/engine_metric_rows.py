"""The metrics that are read from the engine: under vLLM's names, our own, and OpenTelemetry's."""

from typing import Final

from ..metrics.exported import MOST_DRAFTS, accepted_at
from .exposed import Exposed, Scraped, Values, counter, counters, gauge, gauges


def _by_reason(scraped: Scraped) -> Values:
    counts = {} if scraped.engine is None else scraped.engine.by_reason
    return {(reason,): count for reason, count in counts.items()}


def _cache_config(scraped: Scraped) -> Values:
    held = {} if scraped.engine is None else scraped.engine.gauges
    if "kv_blocks" not in held:
        return {}
    caching = "True" if held["prefix_caching"] else "False"
    return {(str(int(held["block_tokens"])), str(int(held["kv_blocks"])), caching): 1}


def _blocks_by_state(scraped: Scraped) -> Values:
    """KV blocks by state; the free ones are what is left of all."""
    held = {} if scraped.engine is None else scraped.engine.gauges
    if "kv_blocks" not in held:
        return {}
    running, evictable = held["kv_blocks_running"], held["kv_blocks_evictable"]
    free = held["kv_blocks"] - running - evictable
    return {("running",): running, ("evictable",): evictable, ("free",): free}


def _counter(name: str, meaning: str, key: str) -> Exposed:
    return Exposed(name, "counter", meaning, read=counter(key))


def _gauge(name: str, meaning: str, key: str) -> Exposed:
    return Exposed(name, "gauge", meaning, read=gauge(key))


def _histogram(name: str, meaning: str, key: str) -> Exposed:
    return Exposed(name, "histogram", meaning, histogram=key)


_TTFT = "From a request's arrival to its first token, as it comes"
_GAP = "From one token of a request to the next, as it comes"
_OUTPUT_GAP = "From one step that gave a request tokens to the next one, as it comes"
_TPOT = "Mean time from token to token of a request that finished with two or more"
_E2E = "From the arrival to the last token of a request that finished"
_QUEUE = "What a request that finished had waited before it was first scheduled"
_PREFILL = "From the first step to the first token of a request that finished"
_DECODE = "From the first to the last token of a request that finished"
_INFERENCE = "From the first step to the last token of a request that finished"
_PROMPT = "Prompt tokens of requests that got as far as a first token, cached ones included"
_GENERATED = "Tokens generated, those of requests that failed later included"

VLLM_ENGINE_ROWS: Final = (
    _gauge("vllm:num_requests_running", "Requests that run", "running"),
    _gauge("vllm:num_requests_waiting", "Requests that wait to be scheduled", "waiting"),
    _gauge(
        "vllm:kv_cache_usage_perc",
        "Part of the KV blocks that running requests hold, from 0 to 1; cached ones count as free",
        "kv_usage",
    ),
    Exposed(
        "vllm:cache_config_info",
        "info",
        "The KV cache: tokens of a block, blocks, and whether prefixes are cached",
        ("block_size", "num_gpu_blocks", "enable_prefix_caching"),
        _cache_config,
    ),
    _counter("vllm:prompt_tokens_total", _PROMPT, "prompt_tokens"),
    Exposed(
        "vllm:prompt_tokens_by_source_total",
        "counter",
        "Prompt tokens by where their keys and values came from",
        ("source",),
        counters(
            {
                ("local_compute",): "prompt_tokens_computed",
                ("local_cache_hit",): "prompt_tokens_cached",
            }
        ),
    ),
    _counter(
        "vllm:prompt_tokens_cached_total",
        "Prompt tokens that came from the prefix cache",
        "prompt_tokens_cached",
    ),
    _counter("vllm:generation_tokens_total", _GENERATED, "generation_tokens"),
    Exposed(
        "vllm:request_success_total",
        "counter",
        "Requests that ended, by finish reason: stop, length, abort, error",
        ("finished_reason",),
        _by_reason,
    ),
    _counter(
        "vllm:num_preemptions_total",
        "Requests that lost their KV blocks to older ones",
        "preemptions_kv_blocks",
    ),
    _counter(
        "vllm:prefix_cache_queries_total",
        "Prompt tokens that were looked up in the prefix cache",
        "prefix_queried_tokens",
    ),
    _counter(
        "vllm:prefix_cache_hits_total",
        "Prompt tokens that were found in the prefix cache",
        "prefix_hit_tokens",
    ),
    _counter(
        "vllm:spec_decode_num_drafts_total",
        "Drafts that were verified, each of some tokens of one request",
        "drafts",
    ),
    _counter("vllm:spec_decode_num_draft_tokens_total", "Tokens drafted", "draft_tokens"),
    _counter(
        "vllm:spec_decode_num_accepted_tokens_total",
        "Drafted tokens that were what the model said",
        "accepted_draft_tokens",
    ),
    Exposed(
        "vllm:spec_decode_num_accepted_tokens_per_pos_total",
        "counter",
        "The same by their position in the draft, from 0",
        ("position",),
        counters({(str(position),): accepted_at(position) for position in range(MOST_DRAFTS)}),
    ),
    _counter(
        "vllm:estimated_flops_per_gpu_total",
        "FLOPs that the model needed, estimated from its shape",
        "flops",
    ),
    _counter(
        "vllm:estimated_read_bytes_per_gpu_total",
        "Bytes of weights and KV cache that steps had to read, estimated from their sizes",
        "read_bytes",
    ),
    _histogram(
        "vllm:iteration_tokens_total", "Tokens computed and generated in a step", "step_tokens"
    ),
    _histogram("vllm:time_to_first_token_seconds", _TTFT, "ttft"),
    _histogram("vllm:inter_token_latency_seconds", _OUTPUT_GAP, "output_gap"),
    _histogram("vllm:request_time_per_output_token_seconds", _TPOT, "tpot"),
    _histogram("vllm:e2e_request_latency_seconds", _E2E, "e2e"),
    _histogram("vllm:request_queue_time_seconds", _QUEUE, "queue"),
    _histogram("vllm:request_prefill_time_seconds", _PREFILL, "prefill"),
    _histogram("vllm:request_decode_time_seconds", _DECODE, "decode"),
    _histogram("vllm:request_inference_time_seconds", _INFERENCE, "inference"),
    _histogram(
        "vllm:request_prompt_tokens", "Prompt tokens of a request that finished", "prompt_tokens"
    ),
    _histogram(
        "vllm:request_generation_tokens",
        "Output tokens of a request that finished",
        "generation_tokens",
    ),
    _histogram(
        "vllm:request_max_num_generation_tokens",
        "Output tokens of the longest answer to a request that finished: here each has one",
        "generation_tokens",
    ),
    _histogram(
        "vllm:request_prefill_kv_computed_tokens",
        "Prompt tokens of a request that finished that were not in the prefix cache",
        "computed_prompt_tokens",
    ),
    _histogram(
        "vllm:request_params_max_tokens",
        "The most output tokens that a request that finished had asked for",
        "max_tokens",
    ),
    _histogram("gen_ai_server_request_duration_seconds", _E2E, "e2e"),
    _histogram(
        "gen_ai_server_time_to_first_token_seconds",
        "From the arrival to the first token of a request that finished",
        "ttft_finished",
    ),
    _histogram("gen_ai_server_time_per_output_token_seconds", _TPOT, "tpot"),
)

PRODTOP_ENGINE_ROWS: Final = (
    _gauge("prodtop_requests_running", "Requests that run", "running"),
    _gauge("prodtop_requests_waiting", "Requests that wait to be scheduled", "waiting"),
    _gauge(
        "prodtop_requests_running_limit", "The most requests that may run at once", "max_running"
    ),
    _counter(
        "prodtop_requests_submitted_total",
        "Requests that came to the engine, those that it refused included",
        "requests_submitted",
    ),
    Exposed(
        "prodtop_requests_ended_total",
        "counter",
        "Requests that ended, by reason: stop, length, abort, error",
        ("reason",),
        _by_reason,
    ),
    _counter(
        "prodtop_requests_refused_total",
        "Requests that the engine could not take, as a prompt that is too long",
        "requests_refused",
    ),
    _counter(
        "prodtop_requests_rejected_total",
        "Requests that were turned away unseen: the queue was full, or cells were measured",
        "requests_rejected",
    ),
    Exposed(
        "prodtop_prompt_tokens_total",
        "counter",
        "Prompt tokens of requests that got as far as a first token, by where they came from",
        ("source",),
        counters({("computed",): "prompt_tokens_computed", ("cached",): "prompt_tokens_cached"}),
    ),
    _counter("prodtop_generation_tokens_total", _GENERATED, "generation_tokens"),
    _counter(
        "prodtop_prefill_tokens_total",
        "Prompt tokens computed as it happens, again after a preemption",
        "prefill_tokens",
    ),
    _counter(
        "prodtop_response_cache_tokens_total",
        "Output tokens that the response cache gave",
        "response_cache_tokens",
    ),
    _counter(
        "prodtop_response_cache_lookups_total",
        "Requests that were looked up in the response cache",
        "response_lookups",
    ),
    _counter(
        "prodtop_response_cache_hits_total",
        "Requests that the response cache answered",
        "response_hits",
    ),
    _gauge(
        "prodtop_response_cache_entries", "Answers in the response cache", "response_cache_entries"
    ),
    _gauge("prodtop_response_cache_bytes", "What these take", "response_cache_bytes"),
    _counter(
        "prodtop_prefix_cache_queried_tokens_total",
        "Prompt tokens that were looked up in the prefix cache",
        "prefix_queried_tokens",
    ),
    _counter(
        "prodtop_prefix_cache_hit_tokens_total",
        "Prompt tokens that were found in the prefix cache",
        "prefix_hit_tokens",
    ),
    _gauge(
        "prodtop_kv_cache_usage_ratio",
        "Part of the KV blocks that running requests hold, from 0 to 1",
        "kv_usage",
    ),
    Exposed(
        "prodtop_kv_cache_blocks",
        "gauge",
        "KV blocks by state: held by running requests, cached prefixes that none holds, the rest",
        ("state",),
        _blocks_by_state,
    ),
    _gauge("prodtop_kv_cache_block_tokens", "Tokens of a KV block", "block_tokens"),
    _gauge(
        "prodtop_context_tokens",
        "The most tokens of a request, prompt and output",
        "context_tokens",
    ),
    Exposed(
        "prodtop_preemptions_total",
        "counter",
        "Requests that lost their KV blocks, to older ones or to a switch",
        ("cause",),
        counters({("kv_blocks",): "preemptions_kv_blocks", ("switch",): "preemptions_switch"}),
    ),
    _counter(
        "prodtop_switches_total",
        "Switches of strategy, precision, drafts or load while it served",
        "switches",
    ),
    _counter("prodtop_drafts_total", "Drafts that were verified", "drafts"),
    _counter("prodtop_draft_tokens_total", "Tokens drafted", "draft_tokens"),
    _counter(
        "prodtop_accepted_draft_tokens_total",
        "Drafted tokens that were what the model said",
        "accepted_draft_tokens",
    ),
    _counter("prodtop_steps_total", "Steps of the engine", "steps"),
    _counter("prodtop_step_rows_total", "Sequences in the batches of all steps", "rows"),
    _counter(
        "prodtop_step_ghost_rows_total",
        "Those among them that had finished before",
        "ghost_rows",
    ),
    _counter(
        "prodtop_device_busy_seconds_total",
        "How long the device worked on steps",
        "device_seconds",
    ),
    _counter(
        "prodtop_device_prefill_seconds_total",
        "The part of that which went to prompts, by the tokens of each step",
        "prefill_device_seconds",
    ),
    _counter(
        "prodtop_estimated_flops_total",
        "FLOPs that the model needed, estimated from its shape",
        "flops",
    ),
    _counter(
        "prodtop_estimated_read_bytes_total",
        "Bytes of weights and KV cache that steps had to read, estimated from their sizes",
        "read_bytes",
    ),
    _gauge(
        "prodtop_device_memory_bytes",
        "What the worker's process holds on its device; on a CPU its resident set",
        "device_memory_bytes",
    ),
    Exposed(
        "prodtop_memory_bytes",
        "gauge",
        "What weights and KV cache take of that",
        ("part",),
        gauges({("weights",): "weights_bytes", ("kv_cache",): "kv_cache_bytes"}),
    ),
    Exposed(
        "prodtop_gpu_energy_joules_total",
        "counter",
        "NVML's energy counter of the whole card, since the driver was loaded",
        read=gauge("gpu_energy_joules"),
    ),
    _histogram("prodtop_time_to_first_token_seconds", _TTFT, "ttft"),
    _histogram("prodtop_inter_token_latency_seconds", _GAP, "itl"),
    _histogram("prodtop_time_per_output_token_seconds", _TPOT, "tpot"),
    _histogram("prodtop_request_duration_seconds", _E2E, "e2e"),
    _histogram("prodtop_queue_time_seconds", _QUEUE, "queue"),
    _histogram("prodtop_prefill_time_seconds", _PREFILL, "prefill"),
    _histogram("prodtop_decode_time_seconds", _DECODE, "decode"),
    _histogram("prodtop_inference_time_seconds", _INFERENCE, "inference"),
)
