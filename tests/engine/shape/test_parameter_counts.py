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

LLAMA_4: Values = BASE | {
    "head_dim": 16,
    "intermediate_size_mlp": 200,
    "num_local_experts": 4,
    "num_experts_per_tok": 1,
}
NEMOTRON_H: Values = BASE | {
    "layers_block_type": ["mamba", "mlp", "attention", "mlp"],
    "head_dim": 24,
    "mamba_num_heads": 6,
    "mamba_head_dim": 16,
    "ssm_state_size": 32,
    "n_groups": 2,
    "n_routed_experts": 8,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 48,
    "moe_shared_expert_intermediate_size": 72,
}
MIXED = ["mamba", "moe", "attention", "moe", "mamba", "mlp"]
MAMBA_2: Values = {
    "mamba_n_heads": 6,
    "mamba_d_head": 16,
    "mamba_d_state": 24,
    "mamba_n_groups": 2,
}
GRANITE: Values = MAMBA_2 | {
    "mamba_n_heads": 8,
    "layer_types": ["mamba", "mamba", "attention", "mamba"],
    "num_local_experts": 8,
    "num_experts_per_tok": 2,
    "shared_intermediate_size": 72,
}
SHORT: Values = {"layer_types": ["conv", "conv", "full_attention", "conv"]}

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
    "norms over all heads": ("olmo2", BASE),
    "norms over all heads, windows": ("olmo3", BASE | {"sliding_window": 32}),
    "an output without a bias": ("seed_oss", BASE | {"head_dim": 16, "attention_bias": True}),
    "LayerNorm, biases, grouped": ("starcoder2", BASE | {"tie_word_embeddings": True}),
    "experts, norms over all heads": (
        "minimax_m2",
        BASE | {"num_local_experts": 8, "num_experts_per_tok": 2, "head_dim": 24},
    ),
    "a shared expert, every layer": ("llama4_text", LLAMA_4),
    "a shared expert, every second layer": (
        "llama4_text",
        LLAMA_4 | {"interleave_moe_layer_step": 2},
    ),
    "dense layers first": (
        "glm4_moe",
        LATENT | {"use_qk_norm": True, "attention_bias": True, "head_dim": 24},
    ),
    "one block a layer": ("nemotron_h", NEMOTRON_H),
    "one block a layer, experts": ("nemotron_h", NEMOTRON_H | {"layers_block_type": MIXED}),
    "one block a layer, narrow experts": (
        "nemotron_h",
        NEMOTRON_H | {"layers_block_type": MIXED, "moe_latent_size": 32},
    ),
    "gated delta net": (
        "qwen3_next",
        MIXTURE
        | {
            "head_dim": 24,
            "shared_expert_intermediate_size": 80,
            "linear_num_key_heads": 2,
            "linear_num_value_heads": 4,
            "linear_key_head_dim": 12,
            "linear_value_head_dim": 20,
        },
    ),
    "lightning attention": (
        "minimax",
        BASE | {"num_local_experts": 8, "num_experts_per_tok": 2, "head_dim": 24},
    ),
    "attention beside a state space": ("falcon_h1", BASE | MAMBA_2 | {"mamba_d_ssm": 96}),
    "a norm in the state space": (
        "falcon_h1",
        BASE | MAMBA_2 | {"mamba_d_ssm": 96, "mamba_rms_norm": True, "attention_bias": True},
    ),
    "a state space and experts": ("granitemoehybrid", BASE | GRANITE),
    "a state space, dense": ("granitemoehybrid", BASE | GRANITE | {"num_local_experts": 0}),
    "short convolutions": ("lfm2", BASE | SHORT | {"conv_bias": True}),
    "short convolutions, no adjustment": (
        "lfm2",
        BASE | SHORT | {"block_auto_adjust_ff_dim": False},
    ),
    "short convolutions, experts": ("lfm2_moe", MIXTURE | SHORT | {"num_dense_layers": 1}),
    "recurrent units": (
        "recurrent_gemma",
        BASE | {"tie_word_embeddings": True, "lru_width": 80, "num_key_value_heads": 1},
    ),
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
    biases = [
        each
        for name, each in model.named_buffers()
        if name.endswith(("correction_bias", "expert_bias"))
    ]
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
    # The text models of those with images, other names of MiniMax, and two that transformers cannot
    # make (Grok-1, DBRX), which `test_public_shapes` counts.
    aliases = {"gemma3", "llama4", "minimax_text_01", "minimax_m1", "grok-1", "dbrx"}
    assert {model_type for model_type, _ in CONFIGS.values()} | aliases == set(KINDS)


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
    if shape.recurrence is not None and experts is not None:
        kinds = {
            "mamba": shape.recurrence.layers,
            "attention": shape.attention_layers,
            "moe": shape.mlp_layers,
        }
        return "nemotron_h", values | {
            "layers_block_type": [kind for kind, count in kinds.items() for _ in range(count or 0)],
            "mamba_num_heads": 64,
            "mamba_head_dim": 64,
            "ssm_state_size": 128,
            "n_groups": 8,
            "n_routed_experts": experts.count,
            "moe_intermediate_size": experts.intermediate,
            "moe_shared_expert_intermediate_size": experts.shared_intermediate,
        }
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
