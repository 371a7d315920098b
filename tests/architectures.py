"""Tiny random checkpoints of every architecture, written by `transformers`: the models' oracle."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from checkpoints import END_OF_TEXT_ID, VOCABULARY
from transformers import (
    Gemma2Config,
    Gemma2ForCausalLM,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Phi3Config,
    Phi3ForCausalLM,
    PreTrainedConfig,
    PreTrainedModel,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

CONTEXT_TOKENS = 256
ORIGINAL_TOKENS = 32
"""Of scaled rotary positions: short, so that a test's positions lie on both sides of it."""

_WINDOW = 24
"""Longer than a KV block and shorter than most of a test's sequences."""


@dataclass(frozen=True)
class Architecture:
    """A model class of `transformers` and the settings of a tiny model of it.

    `lengths` are the shortest and the longest sequence that the oracle's own choices hold for;
    `context_tokens` is the context to serve it with.
    """

    model: type[PreTrainedModel]
    config: Callable[..., PreTrainedConfig]
    settings: Mapping[str, object]
    lengths: tuple[int, int] = (1, 70)
    context_tokens: int = CONTEXT_TOKENS


_SHAPE: dict[str, object] = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": CONTEXT_TOKENS,
    # Far above the customary 1e-6, so that leaving it out shows in the logits.
    "rms_norm_eps": 1e-2,
}
_GEMMA: dict[str, object] = {"head_dim": 16, "query_pre_attn_scalar": 24, "sliding_window": _WINDOW}
_LINEAR = {"rope_type": "linear", "rope_theta": 500.0, "factor": 4.0}
_YARN = {
    "rope_type": "yarn",
    "rope_theta": 500.0,
    "factor": 8.0,
    "original_max_position_embeddings": ORIGINAL_TOKENS,
}
_LONGROPE = {
    "rope_type": "longrope",
    "rope_theta": 500.0,
    "partial_rotary_factor": 0.75,
    "short_factor": [1.0, 1.1, 1.2, 1.5, 1.7, 2.0],
    "long_factor": [1.0, 1.5, 2.0, 3.0, 5.0, 8.0],
}
_PHI_LONG = _SHAPE | {
    "rope_parameters": _LONGROPE,
    "original_max_position_embeddings": ORIGINAL_TOKENS,
}

ARCHITECTURES: dict[str, Architecture] = {
    "llama": Architecture(LlamaForCausalLM, LlamaConfig, _SHAPE),
    "llama, linear rope": Architecture(
        LlamaForCausalLM, LlamaConfig, _SHAPE | {"rope_parameters": _LINEAR}
    ),
    "mistral": Architecture(
        MistralForCausalLM, MistralConfig, _SHAPE | {"sliding_window": _WINDOW, "head_dim": 24}
    ),
    "mistral, no window": Architecture(
        MistralForCausalLM, MistralConfig, _SHAPE | {"sliding_window": None}
    ),
    "qwen2": Architecture(Qwen2ForCausalLM, Qwen2Config, _SHAPE | {"tie_word_embeddings": True}),
    "qwen2, window": Architecture(
        Qwen2ForCausalLM,
        Qwen2Config,
        _SHAPE | {"use_sliding_window": True, "sliding_window": _WINDOW, "max_window_layers": 1},
    ),
    "qwen2, yarn": Architecture(
        Qwen2ForCausalLM, Qwen2Config, _SHAPE | {"rope_parameters": dict(_YARN)}
    ),
    "qwen3": Architecture(
        Qwen3ForCausalLM, Qwen3Config, _SHAPE | {"head_dim": 32, "tie_word_embeddings": True}
    ),
    "qwen3, yarn of its own": Architecture(
        Qwen3ForCausalLM,
        Qwen3Config,
        _SHAPE
        | {
            "head_dim": 32,
            "attention_bias": True,
            "rope_parameters": _YARN
            | {"beta_fast": 16.0, "beta_slow": 2.0, "mscale": 1.2, "mscale_all_dim": 0.7},
        },
    ),
    "phi3": Architecture(
        Phi3ForCausalLM, Phi3Config, _SHAPE | {"sliding_window": _WINDOW, "pad_token_id": 0}
    ),
    "phi3, short": Architecture(
        Phi3ForCausalLM,
        Phi3Config,
        _PHI_LONG | {"pad_token_id": 0},
        lengths=(1, ORIGINAL_TOKENS),
        context_tokens=ORIGINAL_TOKENS,
    ),
    "phi3, long": Architecture(
        Phi3ForCausalLM, Phi3Config, _PHI_LONG | {"pad_token_id": 0}, lengths=(33, 70)
    ),
    "gemma2": Architecture(
        Gemma2ForCausalLM,
        Gemma2Config,
        _SHAPE | _GEMMA | {"attn_logit_softcapping": 2.0, "final_logit_softcapping": 3.0},
    ),
    "gemma3": Architecture(
        Gemma3ForCausalLM,
        Gemma3TextConfig,
        _SHAPE
        | _GEMMA
        | {
            "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
            "rope_parameters": {
                "full_attention": _LINEAR,
                "sliding_attention": {"rope_type": "default", "rope_theta": 50.0},
            },
        },
    ),
    "gpt2": Architecture(
        GPT2LMHeadModel,
        GPT2Config,
        {
            "n_embd": 64,
            "n_layer": 3,
            "n_head": 4,
            "n_positions": CONTEXT_TOKENS,
            "layer_norm_epsilon": 1e-2,
        },
    ),
}


def make_model(name: str, seed: int = 0) -> PreTrainedModel:
    """A random fp32 model whose logits are of order 1, so that a difference shows."""
    architecture = ARCHITECTURES[name]
    config = architecture.config(
        vocab_size=VOCABULARY,
        bos_token_id=END_OF_TEXT_ID,
        eos_token_id=END_OF_TEXT_ID,
        **architecture.settings,
    )
    # The plain form is the definition; it also has the caps that the fused one lacks.
    config._attn_implementation = "eager"
    model = architecture.model(config)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter_name, parameter in model.named_parameters():
            _randomize(parameter_name, parameter, config, generator)
    torch.nn.Module.eval(model)
    return model


def _randomize(
    name: str,
    parameter: torch.nn.Parameter,
    config: PreTrainedConfig,
    generator: torch.Generator,
) -> None:
    """Matrices of more than the customary scale: attention that prefers some keys to others."""
    if parameter.ndim == 1:
        norm = name.endswith("weight") and not str(config.model_type).startswith("gemma")
        parameter.normal_(1.0 if norm else 0.0, 0.3, generator=generator)
        return
    # GPT-2's projections are stored transposed.
    inputs = parameter.shape[0] if ".c_" in name else parameter.shape[1]
    parameter.normal_(0.0, 1.5 * inputs**-0.5, generator=generator)


def write_model(folder: Path, name: str, seed: int = 0) -> PreTrainedModel:
    """Write a random model to `folder`, and return it."""
    model = make_model(name, seed)
    model.save_pretrained(folder)
    return model
