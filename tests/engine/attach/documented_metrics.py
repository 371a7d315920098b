"""The metrics that engines document, by the releases that were read: the list that mapping and
reasons are held against. A histogram stands by its base name."""

from typing import Final

from prodtop.engine.protocol import EngineKind

_VLLM: Final = """
    admission_rejections cache_config_info corrupted_requests diffusion_num_canvas_positions
    diffusion_num_committed_tokens diffusion_num_denoising_steps e2e_request_latency_seconds
    engine_sleep_state estimated_flops_per_gpu_total estimated_read_bytes_per_gpu_total
    estimated_write_bytes_per_gpu_total external_prefix_cache_hits external_prefix_cache_queries
    generation_tokens hf3fs_load_duration_seconds hf3fs_num_failed_load hf3fs_num_failed_save
    hf3fs_save_duration_seconds hisparse_cache_hits hisparse_cache_misses
    hisparse_host_block_idle_before_evict_seconds hisparse_host_block_lifetime_seconds
    hisparse_host_block_reuse_gap_seconds hisparse_host_cache_usage_perc
    hisparse_host_to_device_bytes hisparse_pending_page_transfers inter_token_latency_seconds
    iteration_tokens_total kv_block_idle_before_evict_seconds kv_block_lifetime_seconds
    kv_block_reuse_gap_seconds kv_cache_usage_perc kv_offload_allocation_failure
    kv_offload_cpu_allocation_size kv_offload_cpu_cache_read_usage_perc
    kv_offload_cpu_cache_usage_perc kv_offload_cpu_cache_write_usage_perc kv_offload_load_bytes
    kv_offload_load_size kv_offload_load_time kv_offload_lookup_async_delay_seconds
    kv_offload_lookup_sync_delay_seconds kv_offload_size kv_offload_store_bytes
    kv_offload_store_size kv_offload_store_time kv_offload_stores_skipped
    kv_offload_tiering_active_cascade_jobs kv_offload_tiering_active_promotion_jobs
    kv_offload_tiering_backpressure_blocks_dropped
    kv_offload_tiering_backpressure_store_latency_ema
    kv_offload_tiering_backpressure_stores_dropped kv_offload_tiering_cascade_job_failures
    kv_offload_tiering_chunk_hits kv_offload_tiering_chunk_queries
    kv_offload_tiering_lookup_async_delay_seconds kv_offload_tiering_lookup_sync_delay_seconds
    kv_offload_tiering_primary_read_usage_perc kv_offload_tiering_primary_write_usage_perc
    kv_offload_tiering_promotion_allocation_failures kv_offload_tiering_promotion_job_failures
    kv_offload_tiering_read_bytes kv_offload_tiering_read_time kv_offload_tiering_write_bytes
    kv_offload_tiering_write_time kv_offload_total_bytes kv_offload_total_time
    lora_requests_info mm_cache_hits mm_cache_queries mooncake_store_operation_bytes_total
    mooncake_store_operation_failed_keys_total mooncake_store_operation_keys_total
    mooncake_store_operation_time_seconds mooncake_store_operation_total nixl_bytes_transferred
    nixl_num_descriptors nixl_num_failed_notifications nixl_num_failed_transfers
    nixl_num_kv_expired_reqs nixl_num_notifications_after_expiry nixl_post_time_seconds
    nixl_xfer_time_seconds num_preemptions num_requests_kv_fetch_by_stage num_requests_running
    num_requests_waiting num_requests_waiting_by_reason prefix_cache_hits prefix_cache_queries
    prompt_tokens prompt_tokens_by_source prompt_tokens_cached prompt_tokens_cached_by_source
    request_decode_time_seconds request_generation_tokens request_inference_time_seconds
    request_max_num_generation_tokens request_num_preemptions request_params_max_tokens
    request_params_n request_prefill_kv_computed_tokens request_prefill_time_seconds
    request_prompt_tokens request_queue_time_seconds request_success
    request_time_per_output_token_seconds rl_weight_update_operation_duration_seconds
    rl_weight_update_operations_in_flight simple_kv_offload_info
    simple_kv_offload_load_blocks_total simple_kv_offload_pending_store_blocks
    simple_kv_offload_save_outcomes_total simple_kv_offload_used_blocks
    sleep_mode_operation_duration_seconds sleep_mode_operations_in_flight
    spec_decode_num_accepted_tokens spec_decode_num_accepted_tokens_per_pos
    spec_decode_num_draft_tokens spec_decode_num_drafts time_to_first_token_seconds
    tool_call_parser_invocations_total websocket_connection_duration_seconds
    websocket_connections_active websocket_connections_total gpu_cache_usage_perc
    gpu_prefix_cache_hits gpu_prefix_cache_queries gpu_prefix_cache_hit_rate
    time_per_output_token_seconds num_requests_swapped cpu_cache_usage_perc
"""
"""vLLM 0.32.0, and older names; `vllm:` stands before them."""

_SGLANG: Final = """
    backup_bandwidth backup_pgs backuped_tokens_total cache_hit_rate cached_tokens_total
    context_len cuda_graph_passes_total decode_deferred_kv_release_seconds
    decode_deferred_kv_release_total decode_sum_seq_lens dp_attention_pairs_total
    dp_attention_steps_total dp_attention_sync_wait_seconds dp_attention_token_imbalance_ratio
    dp_attention_tokens_total dp_cooperation_forward_execution_seconds_total
    dp_cooperation_realtime_tokens_total e2e_request_latency_seconds encoder_cache_entries
    encoder_cache_evictions_total encoder_cache_hit_files_total encoder_cache_hit_tokens_total
    encoder_cache_size_mb encoder_cache_total_files_total encoder_cache_total_tokens_total
    encoder_mm_items_per_batch encoder_mm_items_per_request encoder_model_forward_seconds
    encoder_preprocess_seconds encoder_queue_wait_seconds encoder_request_e2e_latency_seconds
    encoder_requests_received_total encoder_requests_total encoder_transfer_seconds
    eplb_balancedness eplb_gpu_physical_count estimated_flops_per_gpu_total
    estimated_read_bytes_per_gpu_total estimated_write_bytes_per_gpu_total evicted_tokens_total
    eviction_duration_seconds forward_execution_seconds_total full_token_usage
    func_latency_seconds fwd_occupancy gen_throughput generation_tokens_histogram
    generation_tokens_total get_loads_duration_seconds grammar_compilation_time_seconds
    grammar_ebnf_size grammar_schema_count grammar_tree_traversal_time_avg
    grammar_tree_traversal_time_max graph_memory_usage_gb hicache_backup_bytes_total
    hicache_backup_dropped_tokens_total hicache_backup_duration_seconds
    hicache_backup_tokens_total hicache_dropped_tokens_total hicache_host_mamba_total_states
    hicache_host_mamba_used_states hicache_host_total_tokens hicache_host_used_tokens
    hicache_prefetch_aux_alloc_failed_tokens_total http_requests_active http_requests_total
    http_responses_total inter_token_latency_seconds is_cuda_graph kv_available_tokens
    kv_cache_memory_usage_gb kv_evictable_tokens kv_transfer_alloc_ms kv_transfer_bootstrap_ms
    kv_transfer_latency_ms kv_transfer_speed_gb_s kv_transfer_total_mb kv_used_tokens
    load_back_bytes_total load_back_duration_seconds load_back_tokens_total
    lora_pool_slots_total lora_pool_slots_used lora_pool_utilization mamba_available_tokens
    mamba_evictable_tokens mamba_usage mamba_used_tokens max_total_num_tokens
    max_total_num_tokens_swa new_token_ratio num_aborted_requests_total
    num_bootstrap_failed_reqs_total num_decode_deferred_kv_release_reqs
    num_decode_host_receive_queue_reqs num_decode_host_receive_reqs_total
    num_decode_prealloc_queue_reqs num_decode_transfer_queue_reqs num_grammar_aborted_total
    num_grammar_cache_hit_total num_grammar_queue_reqs num_grammar_timeout_total
    num_grammar_total num_pages num_paused_reqs num_prefill_bootstrap_queue_reqs
    num_prefill_inflight_queue_reqs num_prefill_retries_total num_queue_reqs num_requests_total
    num_retracted_input_tokens_total num_retracted_output_tokens_total num_retracted_reqs
    num_retracted_requests_total num_running_reqs num_so_requests_total num_streaming_sessions
    num_transfer_failed_reqs_total num_unique_running_routing_keys num_used_tokens page_size
    pending_prealloc_token_usage per_stage_req_latency_seconds prealloc_full_token_usage
    prealloc_swa_token_usage prefetch_bandwidth prefetch_pgs prefetched_tokens_total
    prefill_delayer_outcomes_total prefill_delayer_wait_forward_passes
    prefill_delayer_wait_seconds prefill_effective_tokens_total process_cpu_seconds_total
    prompt_tokens_histogram prompt_tokens_total queue_time_seconds realtime_tokens_total
    request_time_per_output_token_seconds routing_key_all_req_count
    routing_key_running_req_count routing_keys_active scheduler_idle_seconds_total
    scheduler_process_cpu_seconds_total scheduler_stage_seconds_total spec_accept_length
    spec_accept_rate spec_block_accept_length spec_cap_length spec_num_draft_tokens
    spec_num_steps spec_verify_calls_total startup_available_gpu_memory_gb
    startup_cuda_graph_time_seconds startup_latency_breakdown_seconds_max startup_time_seconds
    storage_prefetch_deferred_tokens_total storage_prefetch_hit_tokens_total
    storage_prefetch_unfulfilled_tokens_total streaming_session_held_tokens swa_available_tokens
    swa_evictable_tokens swa_token_usage swa_used_tokens time_to_first_token_seconds token_usage
    uncached_prompt_tokens_histogram utilization weight_load_duration_seconds
    weight_memory_usage_gb
"""
"""SGLang 0.5.23; `sglang:` stands before them."""

_TENSORRT_LLM: Final = """
    request_success_total e2e_request_latency_seconds time_to_first_token_seconds
    time_per_output_token_seconds request_queue_time_seconds request_prefill_time_seconds
    request_decode_time_seconds request_inference_time_seconds prompt_tokens_total
    generation_tokens_total prompt_cached_tokens_total prompt_cache_hit_tokens_total
    prompt_cached_tokens_per_request spec_decode_drafted_tokens_total
    spec_decode_accepted_tokens_total prefill_perplexity generation_perplexity
    request_error_total scheduled_batch_size kv_cache_hit_rate kv_cache_utilization
    kv_cache_host_utilization kv_cache_iter_reuse_rate kv_cache_reused_blocks_total
    kv_cache_missed_blocks_total kv_cache_iter_reused_blocks_total
    kv_cache_iter_full_reused_blocks_total kv_cache_iter_partial_reused_blocks_total
    kv_cache_iter_missed_blocks_total kv_cache_gen_alloc_blocks_total
    kv_cache_onboard_bytes_total kv_cache_offload_bytes_total
    kv_cache_disk_prefetch_blocks_total kv_cache_intra_device_copy_bytes_total
    num_requests_running num_requests_waiting num_requests_completed_total
    max_num_active_requests iteration_latency_seconds gpu_memory_usage_bytes
    cpu_memory_usage_bytes pinned_memory_usage_bytes max_batch_size_static
    max_batch_size_runtime max_num_tokens_runtime kv_cache_max_blocks kv_cache_free_blocks
    kv_cache_used_blocks kv_cache_tokens_per_block num_context_requests num_generation_requests
    num_paused_requests num_scheduled_requests total_context_tokens avg_decoded_tokens_per_iter
    spec_decode_num_draft_tokens_total spec_decode_num_accepted_tokens_total
    spec_decode_acceptance_length spec_decode_draft_overhead prefill_batch_occupancy
    prefill_batch_tokens model_config_info parallel_config_info speculative_config_info
    kv_cache_config_info
"""
"""TensorRT-LLM at 050f80d; `trtllm_` stands before them."""

_TGI: Final = """
    batch_current_max_tokens batch_current_size batch_decode_duration batch_filter_duration
    batch_forward_duration batch_inference_count batch_inference_duration
    batch_inference_success batch_next_size queue_size request_count request_duration
    request_failure request_generated_tokens request_inference_duration request_input_length
    request_max_new_tokens request_mean_time_per_token_duration request_queue_duration
    request_skipped_tokens request_success request_validation_duration
"""
"""TGI 3; `tgi_` stands before them."""

_LLAMA_CPP: Final = """
    prompt_tokens_total prompt_tokens_cached_total prompt_seconds_total tokens_predicted_total
    tokens_predicted_seconds_total prompt_tokens_seconds predicted_tokens_seconds n_decode_total
    n_tokens_max n_busy_slots_per_decode requests_processing requests_deferred
    kv_cache_usage_ratio kv_cache_tokens spec_decode_num_drafts_total
    spec_decode_num_draft_tokens_total spec_decode_num_accepted_tokens_total
"""
"""llama.cpp's server; `llamacpp:` stands before them."""

_DYNAMO: Final = """
    stage_duration_seconds stage_requests tokenize_seconds template_seconds
    tokenizer_cache_hits_total tokenizer_cache_misses_total tokenizer_cache_cached_tokens_total
    tokenizer_cache_uncached_tokens_total detokenize_total_us detokenize_token_count
    event_loop_delay_seconds event_loop_stall_total model_ready requests_total
    requests_started_total failures_total queued_requests inflight_requests active_requests
    disconnected_clients request_duration_seconds input_sequence_tokens output_sequence_tokens
    kv_hit_rate kv_selected_cached_prefix_tokens_total kv_worker_reused_tokens_total
    kv_transfer_estimated_latency_seconds shared_cache_hit_rate shared_cache_beyond_blocks
    non_max_overlap_selections_total overlap_blocks_lost cached_tokens tokenizer_latency_ms
    output_tokens_total time_to_first_token_seconds inter_token_latency_seconds
    embedding_latency_seconds images_per_request videos_per_request audio_per_request
    image_tokens_per_request model_total_kv_blocks model_max_num_seqs
    model_max_num_batched_tokens model_context_length model_kv_cache_block_size
    model_migration_limit model_migration_total model_migration_duration_seconds
    model_cancellation_total model_rejection_total worker_active_decode_blocks
    worker_active_prefill_tokens worker_last_time_to_first_token_seconds
    worker_last_input_sequence_tokens worker_last_inter_token_latency_seconds
    router_queue_pending_requests lora_replica_factor lora_is_active lora_estimated_load
    lora_raw_arrival_count lora_active_requests lora_churn_loads_total lora_churn_unloads_total
    lora_overflow_count
"""
"""Dynamo 1.6.1's frontend; `dynamo_frontend_` stands before them."""

PREFIXES: Final = {
    EngineKind.VLLM: "vllm:",
    EngineKind.SGLANG: "sglang:",
    EngineKind.TENSORRT_LLM: "trtllm_",
    EngineKind.TGI: "tgi_",
    EngineKind.LLAMA_CPP: "llamacpp:",
    EngineKind.DYNAMO: "dynamo_frontend_",
}
DOCUMENTED: Final = {
    EngineKind.VLLM: tuple(_VLLM.split()),
    EngineKind.SGLANG: tuple(_SGLANG.split()),
    EngineKind.TENSORRT_LLM: tuple(_TENSORRT_LLM.split()),
    EngineKind.TGI: tuple(_TGI.split()),
    EngineKind.LLAMA_CPP: tuple(_LLAMA_CPP.split()),
    EngineKind.DYNAMO: tuple(_DYNAMO.split()),
}
"""Without the prefixes."""
