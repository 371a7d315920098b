"""Each row of what docs/models.md says is read or refused names the tests that hold it to that."""

import ast
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[2]
PAGE = TESTS.parent / "docs" / "models.md"
SECTIONS = ("What is read, what is refused and why", "GGUF", "Tokenizers and templates")

INT4 = "engine/model/test_int4_checkpoints.py"
FILES = "engine/model/test_which_file_wins.py"
ROPE = "engine/shape/test_rope_settings.py"
PUBLISHED = "engine/shape/test_published_configs.py"
CHAT = "engine/text/test_chat.py"
CHAT_REFUSALS = "engine/text/test_chat_refusals.py"
SPECIAL = "engine/text/test_special_tokens.py"
TOKENIZER = "engine/text/test_tokenizer.py"
LIMITS = "engine/text/test_tokenizer_limits.py"
GGUF = "engine/model/test_gguf_models.py"
GGUF_VALUES = "engine/model/gguf/test_gguf_values.py"
GGUF_TOKENIZER = "engine/model/gguf/test_gguf_tokenizer.py"
GGUF_HOSTILE = "engine/model/gguf/test_gguf_hostile.py"
TRIAL = "engine/text/test_tokenizer_trial.py"
STREAM = "engine/text/test_token_stream.py"

ROWS: dict[str, list[tuple[str, str]]] = {
    "which file": [
        (FILES, "test_a_whole_file_counts_whatever_a_stale_index_says"),
        (FILES, "test_shards_without_an_index_and_files_of_other_names_are_named"),
        (FILES, "test_a_file_that_config_names_is_the_one_read"),
        (FILES, "test_an_adapter_is_named_beside_weights_and_refused_alone"),
    ],
    "a tensor in several shards": [
        (FILES, "test_of_a_tensor_in_several_shards_the_copy_counts_that_the_index_names"),
    ],
    "a tensor that the index places wrongly": [
        (FILES, "test_what_the_index_places_wrongly_is_read_where_it_is"),
    ],
    "names": [
        (FILES, "test_names_with_other_prefixes_are_the_same_tensors"),
        (FILES, "test_a_tensor_under_two_names_is_refused_and_parts_for_images_are_noted"),
        ("engine/model/test_tensor_names.py", "test_a_tensor_of_another_family_is_refused_by_name"),
    ],
    "the head": [
        (FILES, "test_the_head_is_tied_by_what_the_file_holds"),
        (FILES, "test_an_untied_head_that_is_missing_is_refused_with_the_setting"),
    ],
    "types of weights": [
        ("engine/model/test_checkpoint.py", "test_a_mixture_of_dtypes_loses_no_bit"),
        ("engine/model/test_checkpoint.py", "test_a_dtype_that_is_no_weights_is_named"),
        (
            "engine/model/test_checkpoint.py",
            "test_a_value_that_is_no_number_is_found_in_any_tensor",
        ),
    ],
    "rotary scaling `default`, `linear`, `llama3`": [
        (ROPE, "test_every_type_turns_as_in_transformers"),
        (ROPE, "test_what_is_not_computed_is_refused_with_its_reason"),
        (ROPE, "test_a_setting_that_is_not_used_is_noted"),
    ],
    "`dynamic`": [
        (ROPE, "test_every_type_turns_as_in_transformers"),
        (ROPE, "test_the_context_is_that_of_config_json_and_what_yarn_stretches"),
    ],
    "`yarn`": [
        (ROPE, "test_every_type_turns_as_in_transformers"),
        (ROPE, "test_the_context_is_that_of_config_json_and_what_yarn_stretches"),
    ],
    "`longrope`": [
        (ROPE, "test_every_type_turns_as_in_transformers"),
        ("engine/ops/test_rope.py", "test_frequencies_are_those_of_transformers"),
    ],
    "`rope_scaling` beside `rope_parameters`": [
        (PUBLISHED, "test_transformers_5_nests_what_was_flat"),
        (PUBLISHED, "test_transformers_5_nests_gemma_3s_two_bases_by_layer"),
        (ROPE, "test_every_type_turns_as_in_transformers"),
    ],
    "`partial_rotary_factor`": [
        (PUBLISHED, "test_phi_4_mini_turns_three_quarters_of_a_head"),
        (ROPE, "test_a_setting_that_is_not_used_is_noted"),
        (ROPE, "test_what_is_not_computed_is_refused_with_its_reason"),
    ],
    "GPTQ (`gptq`, `gptq_v2`), AWQ (`gemm`)": [
        (INT4, "test_dequantized_the_logits_are_those_of_the_weights_stored"),
        (INT4, "test_at_int4_the_values_stored_are_computed_with"),
        (INT4, "test_another_quantization_is_refused_by_name"),
    ],
    "layers left out: `modules_to_not_convert`, `modules_in_block_to_quantize`, rules `-:` of"
    " `dynamic`": [
        (INT4, "test_layers_left_out_of_the_packing_are_served_as_they_are"),
        (INT4, "test_the_bytes_expected_are_those_held"),
        (INT4, "test_projections_computed_together_must_be_stored_alike"),
        (INT4, "test_a_head_in_4_bits_is_refused_by_its_name"),
    ],
    "other rules of `dynamic`": [
        (INT4, "test_layers_left_out_of_the_packing_are_served_as_they_are"),
        (INT4, "test_another_quantization_is_refused_by_name"),
    ],
    "`desc_act`, `g_idx`": [
        (INT4, "test_a_checkpoint_without_group_indices_is_in_order"),
        (INT4, "test_reordered_inputs_are_refused"),
        (INT4, "test_with_desc_act_the_group_indices_decide"),
    ],
    "packed layers without a `quantization_config`": [
        (INT4, "test_packed_layers_without_settings_are_named"),
    ],
    "a draft model": [
        (
            "engine/serving/test_model_drafter.py",
            "test_a_vocabulary_padded_to_another_size_guesses_within_the_common_ids",
        ),
        (
            "engine/serving/test_model_drafter.py",
            "test_another_tokenizer_or_a_shorter_context_is_a_named_error",
        ),
        (
            "engine/serving/test_model_drafter.py",
            "test_without_tokenizers_sizes_may_differ_by_padding_alone",
        ),
    ],
    "files": [
        ("engine/files/test_bounded.py", "test_what_is_no_regular_file_is_refused_by_name"),
        ("engine/files/test_bounded.py", "test_links_to_regular_files_are_followed"),
        ("engine/files/test_bounded.py", "test_absurd_json_is_one_short_line"),
        ("engine/files/test_bounded.py", "test_a_byte_order_mark_is_no_syntax_error"),
        ("engine/model/test_loading.py", "test_what_is_no_file_is_named_as_what_it_is"),
        ("engine/model/test_loading.py", "test_a_file_that_is_no_config_is_refused_as_a_file"),
        (ROPE, "test_absurd_depths_are_refused_at_once"),
    ],
    "the format": [
        (GGUF_VALUES, "test_metadata_and_tensors_are_those_of_the_gguf_package"),
        (GGUF_HOSTILE, "test_a_crafted_file_is_refused_with_its_reason"),
        (GGUF, "test_what_is_wrong_or_not_computed_is_one_line"),
    ],
    "architectures": [
        (GGUF, "test_a_file_has_the_logits_of_the_model_that_was_written"),
        (GGUF, "test_biases_are_read_and_permuted_with_their_rows"),
        (GGUF, "test_what_is_wrong_or_not_computed_is_one_line"),
        (
            "engine/model/test_gguf_smollm2.py",
            "test_logits_and_greedy_text_are_those_of_the_weights_in_the_file",
        ),
    ],
    "types of tensors": [
        (GGUF_VALUES, "test_any_bytes_stand_for_the_values_of_the_gguf_package"),
        (GGUF_VALUES, "test_every_type_of_ggml_is_read_or_refused_by_its_name"),
        (GGUF, "test_of_every_type_the_stored_values_are_computed_with"),
        (GGUF, "test_a_type_that_is_not_read_and_an_architecture_are_named"),
    ],
    "the master copy": [
        (GGUF, "test_the_master_copy_has_the_files_own_type_where_no_vector_loses_a_bit"),
        (GGUF, "test_quantized_values_are_kept_in_fp16_where_the_vectors_are_too"),
    ],
    "rotary positions": [
        (GGUF, "test_llama_3s_scaling_is_a_tensor_of_divisors"),
        (GGUF, "test_scaled_positions_are_those_of_transformers"),
        (GGUF, "test_what_is_wrong_or_not_computed_is_one_line"),
    ],
    "a byte-level tokenizer (`gpt2`)": [
        (GGUF_TOKENIZER, "test_each_kind_splits_a_text_in_its_way"),
        (GGUF_TOKENIZER, "test_every_text_comes_back"),
    ],
    "a tokenizer of pieces (`llama`)": [
        (GGUF_TOKENIZER, "test_pieces_are_merged_by_their_scores"),
        (GGUF_TOKENIZER, "test_every_text_comes_back"),
        (GGUF_TOKENIZER, "test_what_is_no_tokenizer_is_refused_in_a_line"),
    ],
    "special tokens and the template": [
        (GGUF_TOKENIZER, "test_special_tokens_are_found_and_not_shown_and_a_users_are"),
        (GGUF_TOKENIZER, "test_a_beginning_is_added_as_the_kind_or_the_file_says"),
        (GGUF_TOKENIZER, "test_a_template_that_is_none_is_told_when_it_is_used"),
        (GGUF, "test_name_stops_tokenizer_and_template_are_the_files"),
    ],
    "other keys": [(GGUF, "test_what_is_not_used_is_noted_by_its_name")],
    "damaged and hostile files": [
        (GGUF_HOSTILE, "test_a_truncated_file_is_refused"),
        (GGUF_HOSTILE, "test_a_mutated_header_is_refused_or_a_model"),
        (GGUF_HOSTILE, "test_a_crafted_file_is_refused_with_its_reason"),
    ],
    "`tokenizer.json`": [
        (SPECIAL, "test_a_text_has_the_ids_of_transformers"),
        (SPECIAL, "test_what_a_training_cut_and_padded_is_not_the_prompts"),
    ],
    "`added_tokens_decoder` in `tokenizer_config.json`": [
        (SPECIAL, "test_a_text_has_the_ids_of_transformers"),
    ],
    "`special_tokens_map.json`, `added_tokens.json`": [
        (SPECIAL, "test_a_text_has_the_ids_of_transformers"),
    ],
    "`…_token`, `extra_special_tokens`, `additional_special_tokens`": [
        (SPECIAL, "test_a_text_has_the_ids_of_transformers"),
        (TOKENIZER, "test_special_tokens_are_not_shown"),
        (SPECIAL, "test_a_token_that_is_none_is_named"),
    ],
    "`split_special_tokens`": [(SPECIAL, "test_a_text_has_the_ids_of_transformers")],
    "`add_bos_token`, `add_eos_token`": [
        (SPECIAL, "test_a_beginning_is_the_post_processors_affair"),
    ],
    "streamed text": [
        (STREAM, "test_streamed_text_is_the_whole_text"),
        (STREAM, "test_a_run_of_bytes_that_is_no_text_is_replaced_as_a_whole"),
    ],
    "`chat_template.jinja`, `additional_chat_templates/*.jinja`": [
        (CHAT, "test_a_file_of_its_own_comes_before_the_field"),
        (CHAT, "test_files_of_their_own_come_before_every_field"),
    ],
    "`chat_template` in `tokenizer_config.json`": [
        (CHAT, "test_of_several_named_templates_the_default_is_taken"),
        (CHAT_REFUSALS, "test_a_field_without_a_default_template_is_refused_for_chat_alone"),
    ],
    "`chat_template.json`": [(CHAT, "test_a_processors_template_is_the_last_resort")],
    "Jinja": [
        (CHAT, "test_a_conversation_reads_as_transformers_writes_it"),
        (CHAT_REFUSALS, "test_what_a_template_must_not_do_is_refused_in_one_line"),
    ],
    "a template that runs for more than 2 s, needs more than 512 MiB or writes more than 4 Mi"
    " characters": [
        ("engine/text/test_template_limits.py", "test_what_makes_too_much_is_refused"),
        (
            "engine/text/test_template_limits.py",
            "test_what_runs_for_too_long_is_refused_once_and_for_all",
        ),
    ],
    "a template file of more than 1 MiB, or no regular file": [
        (CHAT_REFUSALS, "test_a_template_that_is_no_file_is_named_and_not_opened"),
    ],
    "a `tokenizer.json` of more than 256 MiB, or with a token of more than 4,096 characters": [
        (LIMITS, "test_a_file_of_any_size_is_refused_unread"),
        (LIMITS, "test_a_token_of_any_length_is_refused"),
    ],
    "a `tokenizer.json` that takes more than 30 s of processor time or 4 GiB to read": [
        (TRIAL, "test_one_that_takes_too_long_is_refused_in_a_line"),
        (TRIAL, "test_a_process_that_ends_by_itself_is_spoken_of"),
    ],
    "a file that is no tokenizer, ends the library that reads it, or has more tokens than the"
    " model": [
        (TOKENIZER, "test_a_file_that_is_no_tokenizer_is_named"),
        (TRIAL, "test_a_panic_of_the_library_is_named"),
        (TOKENIZER, "test_more_tokens_than_the_model_has_are_refused"),
    ],
    "a folder without a `tokenizer.json` (`tokenizer.model`, `vocab.json` alone)": [
        (TOKENIZER, "test_a_folder_without_a_tokenizer_is_named"),
    ],
    "a prompt that comes to no tokens": [
        ("engine/worker/test_traffic.py", "test_a_prompt_without_tokens_fails_alone"),
    ],
    "a text that takes more than 10 s to tokenize": [
        (LIMITS, "test_a_text_that_takes_too_long_is_refused_and_so_are_later_ones"),
    ],
}
"""By the first cell of each row."""


def documented() -> list[str]:
    """The first cell of each row of the tables, their heads left out."""
    page = PAGE.read_text(encoding="utf-8")
    cells: list[str] = []
    for title in SECTIONS:
        lines = page.partition(f"## {title}\n")[2].partition("\n## ")[0].splitlines()
        for head, line in zip(["", *lines], lines, strict=False):
            if line.startswith("|---"):
                cells.remove(_first_cell(head))
            elif line.startswith("|"):
                cells.append(_first_cell(line))
    return cells


def _first_cell(line: str) -> str:
    return line.strip("|").partition(" | ")[0].strip()


@cache
def names_in(file: str) -> frozenset[str]:
    """The names of a file's tests."""
    tree = ast.parse((TESTS / file).read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def test_every_row_has_its_tests_and_no_test_its_row_in_vain() -> None:
    rows = documented()
    assert len(rows) == len(set(rows))
    assert set(rows) == set(ROWS)


@pytest.mark.parametrize("row", ROWS)
def test_the_tests_of_a_row_are_there(row: str) -> None:
    assert ROWS[row]
    for file, name in ROWS[row]:
        assert name in names_in(file), f"{file} has no {name}"
