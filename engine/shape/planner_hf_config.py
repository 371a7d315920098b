"""A model's shape from a Hugging Face `config.json`, for planning: no weights, no code of its own.

Reads every decoder-only transformer whose fields follow the usual names: Llama, Mistral, Mixtral,
Qwen 2 and 3 with their mixtures, DeepSeek 2 and 3, Gemma-like, GPT-2, GPT-NeoX, GPT-OSS.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from .field_errors import FieldError
from .model_shape import ModelShape
from .parts import Experts, LatentAttention

_STATE_SPACE = ("mamba", "rwkv", "jamba", "bamba", "nemotron_h", "zamba", "granitemoehybrid")


def load_shape(path: Path) -> ModelShape:
    """The shape in `path`, a `config.json` or the folder that holds it. Raises `FieldError`."""
    file = path / "config.json" if path.is_dir() else path
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    # Beside malformed text: numbers of too many digits, and lists nested too deeply.
    except (OSError, ValueError, RecursionError) as error:
        raise FieldError("config.json", f"{file}: cannot be read: {error}") from error
    if not isinstance(values, dict):
        raise FieldError("config.json", f"{file}: must hold a JSON object")
    name = file.parent.name if file.name == "config.json" else file.stem
    return parse_shape(values, name or "model")


def parse_shape(values: Mapping[str, object], name: str) -> ModelShape:
    """The shape that a `config.json`'s fields describe, called `name`.

    Raises:
        FieldError: a field is missing or absurd, or the model is not a transformer alone.
    """
    kind = str(values.get("model_type", "")).lower()
    if any(word in kind for word in _STATE_SPACE):
        raise FieldError("model_type", f"{kind!r} has state-space layers, which are not modelled")
    nested = values.get("text_config")
    if isinstance(nested, dict):
        return parse_shape({**nested, "model_type": nested.get("model_type", kind)}, name)
    fields = _Fields(values)
    hidden = fields.count("hidden_size", "n_embd", "d_model")
    layers = fields.count("num_hidden_layers", "n_layer", "n_layers")
    heads = fields.count("num_attention_heads", "n_head", "n_heads")
    gpt2 = kind == "gpt2"
    biased = gpt2 or kind in ("gpt_neox", "opt", "bloom", "gpt_oss")
    old = kind in ("gpt2", "gpt_neox", "gpt_neo", "gptj", "opt", "mpt", "falcon", "bloom", "phi")
    ffn = fields.maybe("intermediate_size", "n_inner", "ffn_dim") or 4 * hidden
    latent = _latent(fields)
    shape = ModelShape(
        name=name,
        layers=layers,
        hidden=hidden,
        heads=heads,
        kv_heads=fields.maybe("num_key_value_heads") or heads,
        head_dim=fields.maybe("head_dim") or max(1, hidden // heads),
        intermediate=ffn,
        vocabulary=fields.count("vocab_size"),
        gated_mlp=not old,
        tied_embeddings=fields.flag(
            "tie_word_embeddings", default=gpt2 or kind.startswith("gemma")
        ),
        layer_norm=old,
        qkv_bias=biased or fields.flag("attention_bias", default=kind in ("qwen2", "qwen2_moe")),
        output_bias=biased,
        mlp_bias=biased,
        qk_norm=kind.startswith("qwen3"),
        attention_sinks=kind == "gpt_oss",
        learned_positions=fields.count("n_positions") if gpt2 else 0,
        latent=latent,
    )
    if latent is not None:
        shape = replace(shape, kv_heads=heads)
    return replace(shape, experts=_experts(fields, shape, kind))


def _latent(fields: "_Fields") -> LatentAttention | None:
    rank = fields.maybe("kv_lora_rank")
    if rank is None:
        return None
    return LatentAttention(
        kv_rank=rank,
        query_rank=fields.maybe("q_lora_rank") or 0,
        nope_dim=fields.count("qk_nope_head_dim"),
        rope_dim=fields.count("qk_rope_head_dim"),
        value_dim=fields.count("v_head_dim"),
    )


def _experts(fields: "_Fields", shape: ModelShape, kind: str) -> Experts | None:
    count = fields.maybe("n_routed_experts", "num_local_experts", "num_experts")
    if count is None or count == 1:
        return None
    ffn = fields.maybe("moe_intermediate_size") or shape.intermediate
    shared = fields.maybe("shared_expert_intermediate_size") or ffn * (
        fields.maybe("n_shared_experts") or 0
    )
    return Experts(
        count=count,
        active=fields.count("num_experts_per_tok", "moe_topk"),
        intermediate=ffn,
        shared_intermediate=shared,
        dense_layers=fields.maybe("first_k_dense_replace") or 0,
        router_bias=kind in ("deepseek_v3", "gpt_oss"),
        shared_gate=kind == "qwen2_moe",
    )


class _Fields:
    """Typed access, by any of a field's customary names."""

    def __init__(self, values: Mapping[str, object]) -> None:
        self._values = values

    def maybe(self, *names: str) -> int | None:
        """A positive whole number, or nothing where no name has a value (or has 0)."""
        for name in names:
            value = self._values.get(name)
            if value is None or value == 0:
                continue
            if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 2**53:
                raise FieldError(name, f"must be a positive whole number, found {value!r}")
            return value
        return None

    def count(self, *names: str) -> int:
        """As `maybe`, but a missing field is an error."""
        value = self.maybe(*names)
        if value is None:
            raise FieldError(names[0], "is missing")
        return value

    def flag(self, name: str, *, default: bool) -> bool:
        """True or false; `default` where it is not there."""
        value = self._values.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise FieldError(name, f"must be true or false, found {value!r}")
        return value
