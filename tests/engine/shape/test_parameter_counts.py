"""Parameters and FLOPs against an independent count: the tensors of transformers' own models.

The models are made on the meta device, without memory, from the same `config.json`.
"""

from collections.abc import Mapping

import pytest
import torch
from prodtop.engine.metrics.roofline import step_flops
from prodtop.engine.shape.config_json import KINDS, parse_shape
from prodtop.engine.shape.model_shape import ModelShape
from prodtop.engine.shape.parts import TensorNames
from prodtop.engine.shape.presets import PRESETS
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

Values = dict[str, object]

BASE: Values = {
    "vocab_size": 640,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "tie_word_embeddings": False,
}
WIDE: Values = BASE | {"num_key_value_heads": 4, "intermediate_size": 256}
GPT: Values = {"vocab_size": 640, "n_embd": 64, "n_layer": 3, "n_head": 4, "n_positions": 96}
LATENT: Values = BASE | {
    "num_key_value_heads": 4,
    "kv_lora_rank": 24,
    "q_lora_rank": 40,
    "qk_nope_head_dim": 16,
    "qk_rope_head_dim": 8,
    "v_head_dim": 20,
    "n_routed_experts": 8,
    "n_shared_experts": 2,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 48,
    "first_k_dense_replace": 1,
    "n_group": 2,
    "topk_group": 1,
}
MIXTURE: Values = BASE | {
    "num_experts": 8,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 48,
}
GEMMA: Values = BASE | {"head_dim": 32, "tie_word_embeddings": True, "sliding_window": 32}

CONFIGS: dict[str, tuple[str, Values]] = {
    "dense": ("llama", BASE),
    "tied": ("llama", BASE | {"tie_word_embeddings": True}),
    "biased": ("llama", BASE | {"attention_bias": True, "mlp_bias": True}),
    "wide heads": ("llama", BASE | {"head_dim": 48}),
    "sliding window": ("mistral", BASE | {"sliding_window": 32}),
    "biased queries, keys and values": ("qwen2", BASE),
    "norms of queries and keys": ("qwen3", BASE | {"head_dim": 32, "attention_bias": True}),
    "fused projections": ("phi3", BASE | {"pad_token_id": 0}),
    "offset norms": ("gemma", GEMMA),
    "norms on both sides": ("gemma2", GEMMA),
    "norms everywhere": ("gemma3_text", GEMMA),
    "multipliers": ("granite", BASE | {"attention_bias": True}),
    "layers without positions": ("smollm3", BASE | {"pad_token_id": 0}),
    "plain MLP, LayerNorm": ("nemotron", BASE),
    "learned positions": ("gpt2", GPT),
    "learned positions, an own head": ("gpt2", GPT | {"n_inner": 80, "tie_word_embeddings": False}),
    "one norm, biases in parts": ("gptj", GPT | {"rotary_dim": 8, "tie_word_embeddings": False}),
    "parallel blocks": ("gpt_neox", WIDE),
    "parallel blocks, no biases": ("gpt_neox", WIDE | {"attention_bias": False}),
    "parallel blocks, one norm": ("phi", BASE | {"pad_token_id": 0}),
    "rows for padding": ("opt", WIDE | {"ffn_dim": 200, "word_embed_proj_dim": 64}),
    "experts": ("mixtral", BASE | {"num_local_experts": 8, "num_experts_per_tok": 2}),
    "experts and a shared one": ("qwen2_moe", MIXTURE | {"shared_expert_intermediate_size": 80}),
    "experts, norms of heads": ("qwen3_moe", MIXTURE | {"head_dim": 32}),
    "latent attention": ("deepseek_v2", LATENT | {"q_lora_rank": None}),
    "latent queries too": ("deepseek_v2", LATENT),
    "latent attention, biased routing": ("deepseek_v3", LATENT),
    "attention sinks": (
        "gpt_oss",
        BASE | {"head_dim": 16, "num_local_experts": 8, "num_experts_per_tok": 2},
    ),
}


def built(model_type: str, values: Mapping[str, object]) -> PreTrainedModel:
    """transformers' model of a `config.json`, without memory."""
    config = AutoConfig.for_model(model_type, **values)
    with torch.device("meta"):
        model: PreTrainedModel = AutoModelForCausalLM.from_config(config)
    return model


def counted(model: PreTrainedModel) -> int:
    """Elements of all tensors of a checkpoint; what is tied counts once."""
    # A bias of DeepSeek's routing is a buffer, since it has no gradient.
    biases = [each for name, each in model.named_buffers() if name.endswith("correction_bias")]
    return sum(tensor.numel() for tensor in (*model.parameters(), *biases))


@pytest.mark.parametrize("name", CONFIGS)
def test_a_config_has_the_parameters_of_transformers(name: str) -> None:
    model_type, values = CONFIGS[name]
    model = built(model_type, values)
    assert parse_shape(values | {"model_type": model_type}, "x").parameters == counted(model)
    # As transformers writes it: with names of its own release, and with every default.
    written = model.config.to_dict() | {"architectures": [type(model).__name__]}
    assert parse_shape(written, "x").parameters == counted(model)


def test_every_kind_of_config_is_counted() -> None:
    # Gemma 3's text model is that of its model with images.
    assert {model_type for model_type, _ in CONFIGS.values()} | {"gemma3"} == set(KINDS)


def as_config(shape: ModelShape) -> tuple[str, Values]:
    """A preset as transformers states it."""
    values: Values = {
        "vocab_size": shape.vocabulary,
        "hidden_size": shape.hidden,
        "intermediate_size": shape.intermediate,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "head_dim": shape.head_dim,
        "max_position_embeddings": shape.context_tokens,
        "tie_word_embeddings": shape.tied_embeddings,
    }
    experts, latent = shape.experts, shape.latent
    if experts is not None:
        values |= {
            "num_local_experts": experts.count,
            "num_experts_per_tok": experts.active,
            "moe_intermediate_size": experts.intermediate,
        }
    if experts is not None and latent is not None:
        values |= {
            "n_routed_experts": experts.count,
            "n_shared_experts": experts.shared_intermediate // experts.intermediate,
            "first_k_dense_replace": experts.dense_layers,
            "kv_lora_rank": latent.kv_rank,
            "q_lora_rank": latent.query_rank or None,
            "qk_nope_head_dim": latent.nope_dim,
            "qk_rope_head_dim": latent.rope_dim,
            "v_head_dim": latent.value_dim,
        }
        return "deepseek_v3" if experts.router_bias else "deepseek_v2", values
    if shape.attention_sinks:
        return "gpt_oss", values
    if experts is not None:
        return "qwen3_moe" if shape.qk_norm else "mixtral", values
    if shape.learned_positions:
        names = {"n_embd": "hidden", "n_layer": "layers", "n_head": "heads"}
        values = {own: getattr(shape, name) for own, name in names.items()}
        return "gpt2", values | {"n_positions": shape.learned_positions, "vocab_size": 50_257}
    if not shape.gated_mlp:
        return "nemotron", values
    if shape.sandwich_norms:
        return "gemma3_text" if shape.qk_norm else "gemma2", values
    if shape.stored.names is TensorNames.PHI3:
        return "phi3", values
    if shape.qk_norm:
        return "qwen3", values
    return "qwen2" if shape.qkv_bias else "llama", values


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_has_the_parameters_of_transformers(name: str) -> None:
    assert PRESETS[name].parameters == counted(built(*as_config(PRESETS[name])))


@pytest.mark.parametrize("name", ["gpt2", "llama-3.2-1b", "qwen2.5-0.5b", "qwen3-0.6b"])
def test_a_token_costs_two_flops_for_each_weight_that_it_meets(name: str) -> None:
    """MFU counts every matrix but the input embedding, and the head also where it is tied."""
    model = built(*as_config(PRESETS[name]))
    matrices = {key: each for key, each in model.state_dict().items() if each.dim() == 2}
    met = [each for key, each in matrices.items() if ".wte." not in key and "embed" not in key]
    met = [each for each in met if each.shape != (1024, 768)]  # GPT-2's positions are looked up.
    weights = sum(each.numel() for each in met)
    assert step_flops(PRESETS[name], tokens=1, attended=0, logit_rows=1) == 2 * weights
