"""The `config.json` of published models, as their authors wrote them, and the shapes they mean."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from prodtop.engine.protocol.errors import CheckpointError
from prodtop.engine.shape.config_json import load_shape, parse_shape
from prodtop.engine.shape.model_shape import ModelShape
from prodtop.engine.shape.parts import LongRopeScaling, YarnScaling
from prodtop.engine.shape.presets import PRESETS
from prodtop.engine.shape.serving_limits import check_served

QWEN3_06B: dict[str, object] = {
    "architectures": ["Qwen3ForCausalLM"],
    "attention_bias": False,
    "bos_token_id": 151643,
    "eos_token_id": 151645,
    "head_dim": 128,
    "hidden_act": "silu",
    "hidden_size": 1024,
    "intermediate_size": 3072,
    "max_position_embeddings": 40960,
    "max_window_layers": 28,
    "model_type": "qwen3",
    "num_attention_heads": 16,
    "num_hidden_layers": 28,
    "num_key_value_heads": 8,
    "rms_norm_eps": 1e-06,
    "rope_scaling": None,
    "rope_theta": 1000000,
    "sliding_window": None,
    "tie_word_embeddings": True,
    "torch_dtype": "bfloat16",
    "use_sliding_window": False,
    "vocab_size": 151936,
}
QWEN25_7B: dict[str, object] = {
    "architectures": ["Qwen2ForCausalLM"],
    "eos_token_id": 151645,
    "hidden_act": "silu",
    "hidden_size": 3584,
    "intermediate_size": 18944,
    "max_position_embeddings": 32768,
    "max_window_layers": 28,
    "model_type": "qwen2",
    "num_attention_heads": 28,
    "num_hidden_layers": 28,
    "num_key_value_heads": 4,
    "rms_norm_eps": 1e-06,
    "rope_theta": 1000000.0,
    "sliding_window": 131072,
    "tie_word_embeddings": False,
    "use_sliding_window": False,
    "vocab_size": 152064,
}
MISTRAL_7B: dict[str, object] = {
    "architectures": ["MistralForCausalLM"],
    "eos_token_id": 2,
    "hidden_act": "silu",
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "max_position_embeddings": 32768,
    "model_type": "mistral",
    "num_attention_heads": 32,
    "num_hidden_layers": 32,
    "num_key_value_heads": 8,
    "rms_norm_eps": 1e-05,
    "rope_theta": 1000000.0,
    "sliding_window": None,
    "tie_word_embeddings": False,
    "vocab_size": 32768,
}
PHI3_MINI: dict[str, object] = {
    "architectures": ["Phi3ForCausalLM"],
    "auto_map": {"AutoConfig": "configuration_phi3.Phi3Config"},
    "attention_bias": False,
    "eos_token_id": 32000,
    "hidden_act": "silu",
    "hidden_size": 3072,
    "intermediate_size": 8192,
    "max_position_embeddings": 4096,
    "model_type": "phi3",
    "num_attention_heads": 32,
    "num_hidden_layers": 32,
    "num_key_value_heads": 32,
    "original_max_position_embeddings": 4096,
    "rms_norm_eps": 1e-05,
    "rope_scaling": None,
    "rope_theta": 10000.0,
    "sliding_window": 2047,
    "tie_word_embeddings": False,
    "vocab_size": 32064,
}
GEMMA2_2B: dict[str, object] = {
    "architectures": ["Gemma2ForCausalLM"],
    "attention_bias": False,
    "attn_logit_softcapping": 50.0,
    "eos_token_id": [1, 107],
    "final_logit_softcapping": 30.0,
    "head_dim": 256,
    "hidden_act": "gelu_pytorch_tanh",
    "hidden_activation": "gelu_pytorch_tanh",
    "hidden_size": 2304,
    "intermediate_size": 9216,
    "max_position_embeddings": 8192,
    "model_type": "gemma2",
    "num_attention_heads": 8,
    "num_hidden_layers": 26,
    "num_key_value_heads": 4,
    "query_pre_attn_scalar": 256,
    "rms_norm_eps": 1e-06,
    "rope_theta": 10000.0,
    "sliding_window": 4096,
    "vocab_size": 256000,
}
GEMMA3_1B: dict[str, object] = {
    "architectures": ["Gemma3ForCausalLM"],
    "attention_bias": False,
    "attn_logit_softcapping": None,
    "eos_token_id": [1, 106],
    "final_logit_softcapping": None,
    "head_dim": 256,
    "hidden_activation": "gelu_pytorch_tanh",
    "hidden_size": 1152,
    "intermediate_size": 6912,
    "max_position_embeddings": 32768,
    "model_type": "gemma3_text",
    "num_attention_heads": 4,
    "num_hidden_layers": 26,
    "num_key_value_heads": 1,
    "query_pre_attn_scalar": 256,
    "rms_norm_eps": 1e-06,
    "rope_local_base_freq": 10000,
    "rope_scaling": None,
    "rope_theta": 1000000,
    "sliding_window": 512,
    "sliding_window_pattern": 6,
    "vocab_size": 262144,
}
GEMMA3_4B: dict[str, object] = {
    "architectures": ["Gemma3ForConditionalGeneration"],
    "eos_token_id": [1, 106],
    "image_token_index": 262144,
    "model_type": "gemma3",
    "text_config": {
        "hidden_size": 2560,
        "intermediate_size": 10240,
        "model_type": "gemma3_text",
        "num_hidden_layers": 34,
        "rope_scaling": {"factor": 8.0, "rope_type": "linear"},
        "sliding_window": 1024,
    },
    "vision_config": {"hidden_size": 1152, "model_type": "siglip_vision_model"},
}
GPT2: dict[str, object] = {
    "activation_function": "gelu_new",
    "architectures": ["GPT2LMHeadModel"],
    "eos_token_id": 50256,
    "layer_norm_epsilon": 1e-05,
    "model_type": "gpt2",
    "n_ctx": 1024,
    "n_embd": 768,
    "n_head": 12,
    "n_layer": 12,
    "n_positions": 1024,
    "vocab_size": 50257,
}


def parsed(values: dict[str, object], **changes: object) -> ModelShape:
    return parse_shape(values | changes, "config.json")


@pytest.mark.parametrize(
    ("values", "preset"),
    [
        (QWEN3_06B, "qwen3-0.6b"),
        (QWEN25_7B, "qwen2.5-7b"),
        (MISTRAL_7B, "mistral-7b-v0.3"),
        (PHI3_MINI, "phi-3-mini"),
        (GEMMA2_2B, "gemma-2-2b"),
        (GEMMA3_1B, "gemma-3-1b"),
        (GPT2, "gpt2"),
    ],
)
def test_a_published_model_has_the_shape_of_its_preset(
    values: dict[str, object], preset: str
) -> None:
    shape = PRESETS[preset]
    # The others are in `generation_config.json`.
    assert parsed(values).eos_token_ids <= shape.eos_token_ids
    assert replace(parsed(values), eos_token_ids=shape.eos_token_ids) == shape


def test_of_a_model_that_sees_images_the_text_model_is_read() -> None:
    config = parsed(GEMMA3_4B)
    # 3.88 billion, the published figure less the vision tower.
    assert config.parameters == 3_880_263_168
    assert (config.heads, config.kv_heads, config.head_dim) == (8, 4, 256)
    assert config.sliding_layers == {n for n in range(34) if (n + 1) % 6}
    assert config.eos_token_ids == {1, 106}
    assert config.tied_embeddings


@pytest.mark.parametrize("values", [QWEN3_06B, QWEN25_7B, MISTRAL_7B, GEMMA2_2B])
def test_transformers_5_nests_what_was_flat(values: dict[str, object]) -> None:
    rope = {"rope_type": "default", "rope_theta": values["rope_theta"]}
    flat = {name: value for name, value in values.items() if not name.startswith("rope")}
    assert parsed(flat, rope_parameters=rope) == parsed(values)


def test_transformers_5_nests_gemma_3s_two_bases_by_layer() -> None:
    flat = {name: value for name, value in GEMMA3_1B.items() if not name.startswith("rope")}
    rope = {
        "full_attention": {"rope_type": "default", "rope_theta": 1_000_000.0},
        "sliding_attention": {"rope_type": "default", "rope_theta": 10_000.0},
    }
    assert parsed(flat, rope_parameters=rope) == parsed(GEMMA3_1B)
    assert parsed(flat) == parsed(GEMMA3_1B), "they are the defaults"


def test_layers_that_slide_may_be_named_one_by_one() -> None:
    kinds = ["full_attention"] * 26
    kinds[3] = "sliding_attention"
    assert parsed(GEMMA2_2B, layer_types=kinds).sliding_layers == {3}
    with pytest.raises(CheckpointError, match="`layer_types`"):
        parsed(GEMMA2_2B, layer_types=kinds[1:])
    with pytest.raises(CheckpointError, match="`layer_types`"):
        parsed(GEMMA2_2B, layer_types=["chunked_attention"] * 26)


def test_qwen_slides_only_where_it_says_so() -> None:
    assert not parsed(QWEN25_7B, sliding_window=1024).sliding_layers
    sliding = parsed(QWEN25_7B, sliding_window=1024, use_sliding_window=True, max_window_layers=21)
    assert sliding.sliding_layers == set(range(21, 28))
    assert sliding.window_of(20) is None
    assert sliding.window_of(21) == 1024


def test_a_window_as_long_as_the_context_hides_nothing() -> None:
    config = parsed(QWEN25_7B, use_sliding_window=True, max_window_layers=0)
    assert config.sliding_window is None
    assert config.window_of(27) is None


def test_a_missing_window_is_mistrals_and_a_null_is_none() -> None:
    absent = {name: value for name, value in MISTRAL_7B.items() if name != "sliding_window"}
    assert parsed(absent).sliding_window == 4096
    assert parsed(MISTRAL_7B).sliding_window is None


def test_gemma_2_has_caps_unless_it_says_none() -> None:
    absent = {name: v for name, v in GEMMA2_2B.items() if not name.endswith("softcapping")}
    assert parsed(absent) == parsed(GEMMA2_2B)
    assert parsed(GEMMA2_2B, attn_logit_softcapping=None).attention_softcap is None


def test_yarn_lengthens_the_context_that_qwen_states() -> None:
    yarn = {"factor": 4.0, "original_max_position_embeddings": 32768, "type": "yarn"}
    config = parsed(QWEN25_7B, rope_scaling=yarn)
    assert config.context_tokens == 131_072
    assert isinstance(config.rope_scaling, YarnScaling)
    assert config.rope_scaling.attention_factor == pytest.approx(1.1386, abs=1e-4)


def test_phi_35_states_its_first_context_outside_the_table() -> None:
    scaling = {"type": "longrope", "short_factor": [1.0] * 48, "long_factor": [2.0] * 48}
    config = parsed(PHI3_MINI, max_position_embeddings=131_072, rope_scaling=scaling)
    assert isinstance(config.rope_scaling, LongRopeScaling)
    assert config.rope_scaling.original_context_tokens == 4096
    assert config.rope_scaling.attention_factor == pytest.approx(1.1902, abs=1e-4)
    assert (
        parsed(PHI3_MINI, max_position_embeddings=131_072, rope_scaling=scaling | {"type": "su"})
        == config
    )


def test_phi_4_mini_turns_three_quarters_of_a_head() -> None:
    assert parsed(PHI3_MINI, partial_rotary_factor=0.75).rotary_dim == 72
    with pytest.raises(CheckpointError, match=r"`partial_rotary_factor` 0\.01"):
        check_served(parsed(PHI3_MINI, partial_rotary_factor=0.01), "config.json")


@pytest.mark.parametrize(
    ("values", "changes", "message"),
    [
        (QWEN3_06B, {"auto_map": {"AutoModel": "own.py"}}, "`auto_map`"),
        (QWEN3_06B, {"quantization_config": {"quant_method": "fp8"}}, "quantization 'fp8'"),
        (GPT2, {"add_cross_attention": True}, "`add_cross_attention`"),
        (GPT2, {"scale_attn_by_inverse_layer_idx": True}, "`scale_attn_by_inverse_layer_idx`"),
        (GPT2, {"n_head": 7}, "7 heads cannot divide"),
        (GPT2, {"activation_function": "relu"}, "'relu'"),
        (GEMMA3_1B, {"use_bidirectional_attention": True}, "both directions"),
        (GEMMA2_2B, {"query_pre_attn_scalar": 0}, "`query_pre_attn_scalar` must be above 0"),
        (PHI3_MINI, {"rope_scaling": {"type": "longrope"}}, "`short_factor` must be a list"),
        (
            PHI3_MINI,
            {"rope_scaling": {"type": "longrope", "short_factor": [1], "long_factor": [1]}},
            "must have 48 numbers",
        ),
        (
            GEMMA3_1B,
            {
                "rope_parameters": {
                    "full_attention": {},
                    "sliding_attention": {"rope_type": "linear", "factor": 2.0},
                }
            },
            "sliding layers",
        ),
    ],
)
def test_what_the_decoder_does_not_do_is_refused_by_name(
    values: dict[str, object], changes: dict[str, object], message: str
) -> None:
    with pytest.raises(CheckpointError, match=message) as caught:
        check_served(parsed(values, **changes), "config.json")
    assert "\n" not in str(caught.value)


def test_a_generation_config_adds_its_stops(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(QWEN3_06B))
    (tmp_path / "generation_config.json").write_text('{"eos_token_id": [151645, 151643]}')
    assert load_shape(tmp_path / "config.json") == PRESETS["qwen3-0.6b"]
