"""Parameter counts against those that the models' authors publish."""

import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prodtop.engine.protocol.errors import CheckpointError
from prodtop.engine.shape.config_json import load_shape, parse_shape
from prodtop.engine.shape.derived import shape_from_parameters
from prodtop.engine.shape.field_errors import FieldError
from prodtop.engine.shape.model_shape import ModelShape
from prodtop.engine.shape.parts import Activation
from prodtop.engine.shape.presets import PRESETS, preset
from prodtop.engine.shape.serving_limits import check_served, unserved_reason
from prodtop.engine.shape.shape_message import read_shape_message, shape_message
from prodtop.engine.shape.variants import same_structure, with_layers

PUBLISHED = {
    "gpt2": 124_439_808,
    "gpt2-medium": 354_823_168,
    "gpt2-large": 774_030_080,
    "gpt2-xl": 1_557_611_200,
    "llama-2-7b": 6_738_415_616,
    "llama-2-13b": 13_015_864_320,
    "llama-2-70b": 68_976_648_192,
    "llama-3.1-8b": 8_030_261_248,
    "llama-3.1-70b": 70_553_706_496,
    "llama-3.1-405b": 405_853_388_800,
    "llama-3.2-1b": 1_235_814_400,
    "llama-3.2-3b": 3_212_749_824,
    "mistral-7b": 7_241_732_096,
    "mixtral-8x7b": 46_702_792_704,
    "mixtral-8x22b": 140_630_071_296,
    "qwen2.5-0.5b": 494_032_768,
    "qwen2.5-7b": 7_615_616_512,
    "qwen2.5-72b": 72_706_203_648,
    "qwen3-0.6b": 596_049_920,
    "qwen3-8b": 8_190_735_360,
    "qwen3-30b-a3b": 30_532_122_624,
    "qwen3-235b-a22b": 235_093_634_560,
    "deepseek-v3": 671_026_419_200,
    "gpt-oss-120b": 116_829_156_672,
    "gpt-oss-20b": 20_914_757_184,
}
"""Sums over the tensors of the published checkpoints (DeepSeek's without the next-token module)."""


@pytest.mark.parametrize(("name", "parameters"), PUBLISHED.items())
def test_counts_equal_published_ones(name: str, parameters: int) -> None:
    assert preset(name).parameters == parameters


@pytest.mark.parametrize(
    ("name", "billions"),
    [("mixtral-8x7b", 12.9), ("deepseek-v3", 37.5), ("qwen3-235b-a22b", 22.2)],
)
def test_active_parameters_of_mixtures(name: str, billions: float) -> None:
    assert preset(name).active_parameters / 1e9 == pytest.approx(billions, abs=0.1)


def test_flops_per_token_by_hand() -> None:
    """Llama-3.1-8B at 8192: the 57.9 GFLOP that Megatron-Bridge's notes give, 51.5 causal."""
    model = preset("llama-3.1-8b")
    assert model.flops_per_token(8192) / 1e9 == pytest.approx(57.9, abs=0.1)
    assert model.flops_per_token(8192, causal=True) / 1e9 == pytest.approx(51.5, abs=0.1)


@pytest.mark.parametrize(
    "spelled", ["Llama-3.1-8B", "meta-llama/Llama-3.1-8B-Instruct", "LLAMA3.1_8B"]
)
def test_a_preset_is_found_however_it_is_written(spelled: str) -> None:
    assert preset(spelled).name == "llama-3.1-8b"


def test_an_unknown_model_names_its_neighbours() -> None:
    with pytest.raises(FieldError, match=r"qwen2\.5-7b") as caught:
        preset("qwen-9b")
    assert caught.value.field == "model"


CONFIGS: dict[str, dict[str, object]] = {
    "llama-3.1-8b": {
        "model_type": "llama",
        "hidden_size": 4096,
        "intermediate_size": 14336,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "vocab_size": 128256,
        "tie_word_embeddings": False,
    },
    "gpt2": {"model_type": "gpt2", "n_embd": 768, "n_layer": 12, "n_head": 12}
    | {"n_positions": 1024, "vocab_size": 50257},
    "qwen2.5-7b": {
        "model_type": "qwen2",
        "hidden_size": 3584,
        "intermediate_size": 18944,
        "num_hidden_layers": 28,
        "num_attention_heads": 28,
        "num_key_value_heads": 4,
        "vocab_size": 152064,
        "tie_word_embeddings": False,
    },
    "qwen3-30b-a3b": {
        "model_type": "qwen3_moe",
        "hidden_size": 2048,
        "intermediate_size": 6144,
        "num_hidden_layers": 48,
        "num_attention_heads": 32,
        "num_key_value_heads": 4,
        "head_dim": 128,
        "vocab_size": 151936,
        "num_experts": 128,
        "num_experts_per_tok": 8,
        "moe_intermediate_size": 768,
        "tie_word_embeddings": False,
    },
    "deepseek-v3": {
        "model_type": "deepseek_v3",
        "hidden_size": 7168,
        "intermediate_size": 18432,
        "num_hidden_layers": 61,
        "num_attention_heads": 128,
        "num_key_value_heads": 128,
        "vocab_size": 129280,
        "n_routed_experts": 256,
        "n_shared_experts": 1,
        "num_experts_per_tok": 8,
        "moe_intermediate_size": 2048,
        "first_k_dense_replace": 3,
        "kv_lora_rank": 512,
        "q_lora_rank": 1536,
        "qk_nope_head_dim": 128,
        "qk_rope_head_dim": 64,
        "v_head_dim": 128,
        "tie_word_embeddings": False,
    },
}


@pytest.mark.parametrize("name", CONFIGS)
def test_a_config_gives_the_published_count(name: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(CONFIGS[name]))
    assert load_shape(tmp_path).parameters == PUBLISHED[name]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"hidden_size": None}, "`hidden_size`"),
        ({"num_hidden_layers": -1}, "`num_hidden_layers`"),
        ({"num_attention_heads": "32"}, "`num_attention_heads`"),
        ({"num_key_value_heads": 5}, "kv_heads"),
        ({"model_type": "mamba2"}, "'mamba2' has state-space layers"),
        ({"model_type": "falcon"}, "'falcon' is not supported"),
        ({"model_type": None}, "`model_type`"),
        ({"tie_word_embeddings": "no"}, "`tie_word_embeddings`"),
    ],
)
def test_a_broken_config_names_its_field(change: dict[str, object], field: str) -> None:
    with pytest.raises(CheckpointError) as caught:
        parse_shape({**CONFIGS["llama-3.1-8b"], **change}, "broken")
    assert str(caught.value).startswith("broken: ")
    assert field in str(caught.value)


def test_a_file_that_is_no_json_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_shape(tmp_path)


UNMODELLED: list[tuple[str, dict[str, object], str]] = [
    ("qwen3-30b-a3b", {"mlp_only_layers": [0]}, "`mlp_only_layers`"),
    ("qwen3-30b-a3b", {"decoder_sparse_step": 2}, "`decoder_sparse_step`"),
    ("qwen3-30b-a3b", {"num_experts_per_tok": 129}, "more experts active"),
    ("deepseek-v3", {"moe_layer_freq": 2}, "`moe_layer_freq`"),
    ("deepseek-v3", {"attention_bias": True}, "`attention_bias` is not modelled"),
    ("deepseek-v3", {"kv_lora_rank": None}, "`kv_lora_rank`"),
    ("gpt2", {"add_cross_attention": True}, "`add_cross_attention` is not modelled"),
]


@pytest.mark.parametrize(("name", "change", "reason"), UNMODELLED)
def test_what_would_be_counted_wrongly_is_refused(
    name: str, change: dict[str, object], reason: str
) -> None:
    with pytest.raises(CheckpointError, match=reason):
        parse_shape(CONFIGS[name] | change, "config.json")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("mixtral-8x7b", "a mixture of experts cannot be served, only planned"),
        ("deepseek-v3", "a mixture of experts and latent attention"),
        ("gpt-oss-20b", "a mixture of experts and attention sinks"),
        ("nemotron-4-340b", "'NemotronForCausalLM' is not served"),
    ],
)
def test_what_the_engine_cannot_serve_is_refused_with_the_reason(name: str, reason: str) -> None:
    with pytest.raises(CheckpointError, match=f"{name}: .*{reason}"):
        check_served(preset(name), name)


def test_a_config_that_cannot_be_served_can_be_planned() -> None:
    """An activation, a scaling and a packing that the engine lacks change no figure of a plan."""
    llama = CONFIGS["llama-3.1-8b"]
    odd = parse_shape(
        llama
        | {"hidden_act": "relu2", "rope_scaling": {"rope_type": "dynamic"}}
        | {"quantization_config": {"quant_method": "fp8"}},
        "config.json",
    )
    assert same_structure(odd, preset("llama-3.1-8b"))
    assert unserved_reason(odd) is not None


def test_the_details_of_what_is_only_planned_are_kept() -> None:
    """Exports and names tell by them what a model is."""
    llama = CONFIGS["llama-3.1-8b"] | {"model_type": "gemma", "hidden_act": "gelu"}
    shape = parse_shape(llama, "config.json")
    assert shape.activation is Activation.GELU_TANH
    assert shape.embedding_scale == 64.0
    assert "not served" in str(unserved_reason(shape))


@pytest.mark.parametrize("name", CONFIGS)
def test_a_config_has_the_structure_of_its_preset(name: str) -> None:
    assert same_structure(parse_shape(CONFIGS[name], "config.json"), preset(name))


@pytest.mark.parametrize("shape", PRESETS.values(), ids=PRESETS)
def test_a_shape_survives_the_way_to_the_screen(shape: ModelShape) -> None:
    sent = msgspec.json.decode(msgspec.json.encode(shape_message(shape)))
    received = read_shape_message(sent, shape.name)
    assert received == shape
    assert (received.name, received.unserved) == (shape.name, shape.unserved)


@pytest.mark.parametrize(
    "message",
    [{}, {"hidden": "x"}, {"layers": 1, "hidden": 0}, {"surprise": 1}],
    ids=["empty", "a text", "no width", "nothing known"],
)
def test_a_message_that_is_no_shape_is_refused(message: dict[str, object]) -> None:
    with pytest.raises(FieldError):
        read_shape_message(message, "model")


def test_fewer_layers_keep_what_they_had() -> None:
    short = with_layers(preset("gpt-oss-20b"), 3)
    assert short.sliding_layers == {0, 2}
    dense = with_layers(preset("deepseek-v3"), 2)
    assert (dense.dense_layers, dense.moe_layers) == (2, 0)


@settings(deadline=None)
@given(st.floats(min_value=7, max_value=13))
def test_a_bare_count_gives_a_shape_that_one_would_build(power: float) -> None:
    parameters = 10**power
    shape = shape_from_parameters(parameters)
    assert shape.parameters == pytest.approx(parameters, rel=0.04)
    assert shape.head_dim == 128 or (parameters <= 3e8 and shape.head_dim in (32, 64))
    assert shape.hidden == shape.heads * shape.head_dim
    assert (shape.heads % 8, shape.kv_heads, shape.layers % 4) == (0, 8, 0)
    assert shape.vocabulary % (128 * 8) == 0
    assert shape.intermediate % 64 == 0
    assert 1 <= shape.intermediate / shape.hidden <= 8


@pytest.mark.parametrize(
    ("billions", "layers", "heads"),
    [
        (1, 16, 16),
        (3, 24, 24),
        (7, 32, 32),
        (8, 32, 32),
        (13, 40, 40),
        (14, 40, 40),
        (34, 56, 56),
        (65, 80, 64),
        (70, 80, 64),
        (175, 96, 96),
        (405, 128, 128),
    ],
)
def test_known_sizes_have_the_layers_and_heads_of_their_models(
    billions: float, layers: int, heads: int
) -> None:
    """Llama 2 and 3 (one head dimension of 128), GPT-3: 405B has 126 layers, 34B (Yi) has 60."""
    shape = shape_from_parameters(billions * 1e9)
    assert (shape.layers, shape.heads, shape.head_dim) == (layers, heads, 128)


@pytest.mark.parametrize("absurd", [0.0, -7e9, float("nan"), float("inf"), 1e20])
def test_an_absurd_count_is_refused(absurd: float) -> None:
    with pytest.raises(FieldError):
        shape_from_parameters(absurd)


@pytest.mark.parametrize("shape", PRESETS.values(), ids=PRESETS)
def test_parts_add_up_and_active_is_no_more_than_all(shape: ModelShape) -> None:
    parts = shape.layer_parameters + shape.embedding_parameters + shape.head_parameters
    assert shape.parameters == parts
    assert 0 < shape.active_parameters <= shape.parameters
