"""Metrics that engines document and prodtop does not show, because: a reason, and the names it
holds for, without the engine's prefix; `*` stands for anything.

The manual has this list beside the tables of what is read; a test holds both against the names that
engines document, so that a metric is either read or here.
"""

from collections.abc import Mapping
from typing import Final

from prodtop.engine.protocol import EngineKind

Reasons = tuple[tuple[str, str], ...]

_DIFFUSION: Final = "of models that are no language models"
_DERIVED: Final = "what is read says the same, over a window that is known"
_ASKED: Final = "what requests asked for, not what they got"
_ONCE: Final = "moves at the start or by an operator's command alone"
_INSIDE: Final = "a part of a transfer whose bytes or tokens are shown"
_WRITTEN: Final = "MBU counts what is read: writes are a few percent"
_HOW: Final = "how the engine sets itself up, not how it does"

NOT_SHOWN: Final[Mapping[EngineKind, Reasons]] = {
    EngineKind.VLLM: (
        (_DIFFUSION, "diffusion_*"),
        (_ASKED, "request_max_num_generation_tokens request_params_*"),
        (_ONCE, "engine_sleep_state sleep_mode_* rl_weight_update_*"),
        (
            _INSIDE,
            "kv_offload_load_size kv_offload_load_time kv_offload_store_size kv_offload_store_time"
            " kv_offload_lookup_* kv_offload_tiering_lookup_* kv_offload_tiering_read_time"
            " kv_offload_tiering_write_time kv_offload_cpu_allocation_size nixl_num_descriptors"
            " nixl_post_time_seconds nixl_xfer_time_seconds kv_offload_cpu_cache_read_usage_perc"
            " kv_offload_cpu_cache_write_usage_perc kv_offload_tiering_primary_*",
        ),
        (
            "transfers that fail are in the server's log",
            "nixl_num_*failed* nixl_num_kv_expired_reqs"
            " nixl_num_notifications_after_expiry kv_offload_allocation_failure"
            " kv_offload_stores_skipped kv_offload_tiering_*fail*"
            " kv_offload_tiering_backpressure_*",
        ),
        (
            "a queue within a transfer",
            "kv_offload_tiering_active_* hisparse_pending_page_transfers"
            " simple_kv_offload_pending_store_blocks num_requests_kv_fetch_by_stage",
        ),
        ("an older name of what is read", "kv_offload_size kv_offload_total_*"),
        ("a store of others, which has figures of its own", "hf3fs_* mooncake_store_*"),
        (
            "of one kind of sparse attention",
            "hisparse_cache_* hisparse_host_block_* hisparse_host_to_device_bytes",
        ),
        (
            _DERIVED,
            "kv_block_reuse_gap_seconds prompt_tokens_cached_by_source"
            " request_num_preemptions request_prefill_kv_computed_tokens"
            " simple_kv_offload_save_outcomes_total",
        ),
        (_HOW, "simple_kv_offload_info"),
        (
            _WRITTEN,
            "estimated_write_bytes_per_gpu_total",
        ),
        (
            "by position there is no room: the acceptance is shown",
            "spec_decode_num_accepted_tokens_per_pos",
        ),
        ("of its HTTP server, not of the engine", "tool_call_parser_* websocket_*"),
        (
            "gone since vLLM's V1 engine, which swaps nothing",
            "num_requests_swapped cpu_cache_usage_perc",
        ),
    ),
    EngineKind.SGLANG: (
        ("of the last batch alone: hit rates are of counters", "cache_hit_rate"),
        (
            _DERIVED,
            "kv_available_tokens kv_evictable_tokens kv_used_tokens num_used_tokens"
            " mamba_available_tokens mamba_evictable_tokens mamba_used_tokens swa_available_tokens"
            " swa_evictable_tokens swa_used_tokens max_total_num_tokens_swa lora_pool_utilization"
            " uncached_prompt_tokens_histogram prefill_effective_tokens_total decode_sum_seq_lens"
            " num_retracted_*put_tokens_total",
        ),
        (
            _INSIDE,
            "backup_bandwidth backup_pgs prefetch_bandwidth prefetch_pgs hicache_backup_bytes*"
            " hicache_backup_duration_seconds load_back_bytes_total load_back_duration_seconds"
            " eviction_duration_seconds kv_transfer_* storage_prefetch_*"
            " hicache_*dropped_tokens_total"
            " hicache_prefetch_aux_*",
        ),
        ("of the hybrid models' states alone", "hicache_host_mamba_*"),
        (
            "queues within disaggregation, beside those shown",
            "decode_deferred_kv_release_*"
            " num_decode_deferred_kv_release_reqs num_decode_host_receive_* *prealloc*token_usage",
        ),
        (
            "transfers that fail are in the server's log",
            "num_bootstrap_failed_reqs_total"
            " num_prefill_retries_total num_transfer_failed_reqs_total",
        ),
        (
            "balance within data- and expert-parallel groups: what they do is added up",
            "dp_attention_* dp_cooperation_* eplb_*",
        ),
        ("of encoders that run as servers of their own", "encoder_*"),
        (
            "grammars: those that wait for one are shown",
            "grammar_* num_grammar_*ed_total"
            " num_grammar_cache_hit_total num_grammar_timeout_total num_grammar_total"
            " num_so_requests_total",
        ),
        (_ONCE, "startup_* weight_load_duration_seconds"),
        (
            "its scheduler's own workings",
            "cuda_graph_passes_total is_cuda_graph fwd_occupancy"
            " func_latency_seconds get_loads_duration_seconds new_token_ratio prefill_delayer_*"
            " process_cpu_seconds_total scheduler_process_cpu_seconds_total"
            " scheduler_stage_seconds_total utilization",
        ),
        (
            "of its router's keys and sessions",
            "num_streaming_sessions"
            " num_unique_running_routing_keys routing_key* streaming_session_held_tokens",
        ),
        (
            "the acceptance and its length are shown",
            "spec_block_accept_length spec_cap_length spec_num_* spec_verify_calls_total",
        ),
        ("of its HTTP server: 503s are read as rejections", "http_requests_*"),
        (
            _WRITTEN,
            "estimated_write_bytes_per_gpu_total",
        ),
    ),
    EngineKind.TENSORRT_LLM: (
        (
            _DERIVED,
            "prompt_cache_hit_tokens_total prompt_cached_tokens_per_request"
            " kv_cache_iter_* kv_cache_free_blocks kv_cache_used_blocks"
            " num_requests_completed_total"
            " num_scheduled_requests scheduled_batch_size total_context_tokens"
            " avg_decoded_tokens_per_iter kv_cache_gen_alloc_blocks_total",
        ),
        (
            "says something of the text, not of the server",
            "prefill_perplexity generation_perplexity",
        ),
        (
            "its scheduler's own workings",
            "kv_cache_intra_device_copy_bytes_total prefill_batch_* spec_decode_draft_overhead",
        ),
        (_HOW, "max_batch_size_static max_num_tokens_runtime *_config_info"),
    ),
    EngineKind.TGI: (
        (_ASKED, "request_max_new_tokens"),
        (
            "steps are counted and timed as a whole",
            "batch_decode_duration batch_filter_duration"
            " batch_forward_duration batch_inference_success batch_next_size",
        ),
        ("of speculation: drafts are not counted beside", "request_skipped_tokens"),
    ),
    EngineKind.LLAMA_CPP: (
        (
            "means since its start: those of the last minute are read of its counters",
            "prompt_tokens_seconds predicted_tokens_seconds",
        ),
        ("gone with the ratio: /slots is read", "kv_cache_tokens"),
    ),
    EngineKind.DYNAMO: (
        (
            "what its router expects, not what came",
            "kv_hit_rate kv_selected_* kv_transfer_estimated_*"
            " shared_cache_* non_max_overlap_* overlap_blocks_lost lora_estimated_load"
            " lora_raw_arrival_count",
        ),
        (
            _DERIVED,
            "requests_started_total failures_total kv_worker_reused_tokens_total"
            " lora_churn_unloads_total",
        ),
        ("of single workers: attach them", "worker_*"),
        (
            "its frontend's own workings",
            "stage_requests tokenize* template_seconds detokenize_* event_loop_*",
        ),
        (
            _DIFFUSION,
            "images_per_request videos_per_request audio_per_request"
            " image_tokens_per_request embedding_latency_seconds",
        ),
        (
            _HOW,
            "model_ready model_max_num_batched_tokens model_migration_limit lora_replica_factor"
            " lora_overflow_count",
        ),
        ("how often it migrates is shown", "model_migration_duration_seconds"),
    ),
}
