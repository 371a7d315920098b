"""What is read from a `config.json`, what is refused, and the shapes known by name."""

import json
from pathlib import Path

import pytest
from prodtop.engine.protocol.errors import CheckpointError
from prodtop.engine.shape.config_json import load_shape, parse_shape
from prodtop.engine.shape.model_shape import ModelShape
from prodtop.engine.shape.parts import Llama3Scaling
from prodtop.engine.shape.presets import PRESETS
from prodtop.engine.shape.serving_limits import check_served

LLAMA: dict[str, object] = {
    "architectures": ["LlamaForCausalLM"],
    "vocab_size": 320,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}
LLAMA3_SCALING: dict[str, object] = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}


def parsed(**changes: object) -> ModelShape:
    return parse_shape(LLAMA | changes, "config.json")


def test_absent_fields_have_the_defaults_of_transformers() -> None:
    config = parsed()
    assert config.head_dim == 16
    assert config.norm_eps == 1e-6
    assert config.context_tokens == 2048
    assert config.rope_theta == 10_000.0
    assert config.rope_scaling is None
    flags = config.tied_embeddings, config.qkv_bias, config.output_bias, config.mlp_bias
    assert not any(flags)


def test_without_key_value_heads_every_head_has_its_own() -> None:
    values = {name: value for name, value in LLAMA.items() if name != "num_key_value_heads"}
    assert parse_shape(values, "config.json").kv_heads == 4


def test_null_means_the_default() -> None:
    config = parsed(head_dim=None, rope_scaling=None, attention_bias=None, num_key_value_heads=None)
    assert config.head_dim == 16
    assert config.kv_heads == 4
    assert not config.qkv_bias


def test_attention_bias_is_on_all_four_projections() -> None:
    config = parsed(attention_bias=True)
    assert config.qkv_bias
    assert config.output_bias
    assert not config.mlp_bias


def test_nested_and_flat_rope_fields_give_the_same_shape() -> None:
    flat = parsed(rope_theta=500_000.0, rope_scaling=LLAMA3_SCALING)
    nested = parsed(rope_parameters=LLAMA3_SCALING | {"rope_theta": 500_000.0})
    assert flat == nested
    assert flat.rope_theta == 500_000.0
    assert flat.rope_scaling == Llama3Scaling(8.0, 1.0, 4.0, 8192)


def test_plain_rope_may_be_nested_too() -> None:
    nested = parsed(rope_parameters={"rope_type": "default", "rope_theta": 1e6})
    assert nested == parsed(rope_theta=1e6)


def test_the_old_name_of_the_rope_type_is_read() -> None:
    old = {"type" if name == "rope_type" else name: v for name, v in LLAMA3_SCALING.items()}
    assert parsed(rope_scaling=old) == parsed(rope_scaling=LLAMA3_SCALING)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architectures": ["FalconForCausalLM"]}, "'FalconForCausalLM' is not supported"),
        ({"architectures": ["GraniteForCausalLM"]}, "'GraniteForCausalLM' is not served"),
        ({"architectures": ["JambaForCausalLM"]}, "'JambaForCausalLM' has state-space layers"),
        ({"architectures": None}, "`architectures` is missing"),
        ({"architectures": []}, "`architectures` is missing"),
        ({"auto_map": {"AutoModel": "own.py"}}, "`auto_map`"),
        ({"hidden_act": "relu"}, "'relu' is not supported"),
        ({"num_key_value_heads": 3}, "4 heads cannot share 3 key-value heads"),
        ({"head_dim": 15}, "`head_dim` is 15"),
        ({"hidden_size": None}, "`hidden_size` must be a number"),
        ({"hidden_size": "64"}, "`hidden_size` must be a number, found '64'"),
        ({"hidden_size": True}, "`hidden_size` must be a number"),
        ({"num_hidden_layers": 0}, "`num_hidden_layers` must be a positive integer"),
        ({"num_hidden_layers": 2.5}, "`num_hidden_layers` must be a positive integer"),
        ({"vocab_size": -1}, "`vocab_size` must be a positive integer"),
        ({"vocab_size": 10**400}, "`vocab_size` is too large"),
        ({"rms_norm_eps": float("nan")}, "`rms_norm_eps` is too large or not finite"),
        ({"rope_theta": float("inf")}, "`rope_theta` is too large or not finite"),
        ({"tie_word_embeddings": "false"}, "`tie_word_embeddings` must be true or false"),
        ({"rope_scaling": {"rope_type": "ntk", "factor": 2.0}}, "rope type 'ntk'"),
        ({"rope_parameters": {"rope_type": "linear"}}, "`factor` must be a number"),
        ({"rope_scaling": {"rope_type": "linear", "factor": 0}}, "`factor` must be above 0"),
        ({"rope_scaling": "llama3"}, "`rope_scaling` must be a table"),
        ({"rope_scaling": {"rope_type": "llama3"}}, "`factor` must be a number"),
        ({"eos_token_id": "</s>"}, "`eos_token_id` must be"),
        ({"eos_token_id": [1, None]}, "`eos_token_id` must be"),
    ],
)
def test_what_cannot_be_served_is_refused_in_one_line_that_names_it(
    changes: dict[str, object], message: str
) -> None:
    with pytest.raises(CheckpointError) as caught:
        check_served(parse_shape(LLAMA | changes, "some/config.json"), "some/config.json")
    line = str(caught.value)
    assert line.startswith("some/config.json: ")
    assert message in line
    assert "\n" not in line
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[1, 2]",
        "null",
        "[" * 100_000,
        '{"vocab_size": 1' + "0" * 5000 + "}",
        "\ufeff{}",
    ],
    ids=["empty", "cut off", "a list", "null", "too deep", "too many digits", "byte order mark"],
)
def test_a_malformed_file_is_refused_in_one_line_that_names_it(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.json"
    path.write_text(text)
    with pytest.raises(CheckpointError) as caught:
        load_shape(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CheckpointError, match=r"config\.json: cannot be read"):
        load_shape(path)


def test_a_folder_without_a_config_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"has no config\.json: not a model folder"):
        load_shape(tmp_path / "config.json")


@pytest.mark.parametrize(
    ("in_config", "in_generation", "stops"),
    [
        (2, None, {2}),
        ([2, 3], None, {2, 3}),
        (2, [7, 8], {2, 7, 8}),
        (None, 7, {7}),
        (None, None, set()),
        (0, 0, {0}),
    ],
)
def test_stop_tokens_are_those_of_both_files(
    tmp_path: Path, in_config: object, in_generation: object, stops: set[int]
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(LLAMA | {"eos_token_id": in_config}))
    generation = {"eos_token_id": in_generation, "do_sample": True}
    (tmp_path / "generation_config.json").write_text(json.dumps(generation))
    assert load_shape(tmp_path / "config.json").eos_token_ids == stops


def test_a_malformed_generation_config_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(LLAMA))
    (tmp_path / "generation_config.json").write_text('{"eos_token_id": "x"}')
    with pytest.raises(CheckpointError, match=r"generation_config\.json: `eos_token_id`"):
        load_shape(tmp_path / "config.json")


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("llama-3.1-8b", 8_030_261_248),
        ("llama-3.2-1b", 1_235_814_400),
        ("llama-2-7b", 6_738_415_616),
        ("tinyllama-1.1b", 1_100_048_384),
        ("llama-3.1-70b", 70_553_706_496),
        ("llama-3.2-3b", 3_212_749_824),
        ("mistral-7b-v0.3", 7_248_023_552),
        ("qwen2.5-0.5b", 494_032_768),
        ("qwen2.5-7b", 7_615_616_512),
        ("qwen3-0.6b", 596_049_920),
        ("qwen3-1.7b", 1_720_574_976),
        ("qwen3-4b", 4_022_468_096),
        ("qwen3-8b", 8_190_735_360),
        ("qwen3-14b", 14_768_307_200),
        ("qwen3-32b", 32_762_123_264),
        ("phi-3-mini", 3_821_079_552),
        ("gemma-2-2b", 2_614_341_888),
        ("gemma-2-9b", 9_241_705_984),
        ("gemma-3-1b", 999_885_952),
        ("gpt2", 124_439_808),
        ("nemotron-3-nano", 31_577_940_288),
    ],
)
def test_presets_have_the_published_number_of_parameters(name: str, parameters: int) -> None:
    assert PRESETS[name].parameters == parameters


@pytest.mark.parametrize("config", PRESETS.values(), ids=PRESETS)
def test_presets_are_shapes_that_the_decoder_serves(config: ModelShape) -> None:
    assert config.heads % config.kv_heads == 0
    assert config.head_dim % 2 == 0
    assert all(0 <= token < config.vocabulary for token in config.eos_token_ids)
    assert config.eos_token_ids or config.name.startswith("generic")


def test_kv_elements_of_llama_3_1_8b_are_the_well_known_128_kib_a_token() -> None:
    assert PRESETS["llama-3.1-8b"].kv_elements_per_token * 2 == 128 * 1024
