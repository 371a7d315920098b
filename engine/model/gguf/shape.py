"""A GGUF file's metadata as the shape of a model: by the same checks as a `config.json`.

The keys of an architecture are translated into the fields of the `config.json` that the file was
converted from, and read as such. What changes the result and is not computed here is refused.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from ...protocol.errors import CheckpointError
from ...shape.config_json import parse_shape
from ...shape.model_shape import ModelShape
from ...text.cleaning import clean
from .metadata import Metadata
from .reader import GgufTensor

Values = dict[str, object]

ROPE_FACTORS = "rope_freqs.weight"
"""A tensor that divides each rotary frequency: how Llama 3's scaling is written down."""

_ARCHITECTURES = {
    "llama": "LlamaForCausalLM",
    "qwen2": "Qwen2ForCausalLM",
    "qwen3": "Qwen3ForCausalLM",
}

_NEUTRAL: Mapping[str, float] = {
    "expert_count": 0,
    "expert_used_count": 0,
    "attention.scale": 0,
    "attention.clamp_kqv": 0,
    "attention.max_alibi_bias": 0,
    "attn_logit_softcapping": 0,
    "final_logit_softcapping": 0,
    "embedding_scale": 1,
    "residual_scale": 1,
    "logit_scale": 1,
    "rope.scaling.yarn_log_multiplier": 0,
    "rope.scaling.yarn_ext_factor": 1,
    "rope.scaling.yarn_attn_factor": 1,
}
"""Settings that change what is computed, each with the value that changes nothing."""

_STOPS = ("eos", "eot", "eom")
"""Ends of a text, of a turn and of a message."""


@dataclass(frozen=True, slots=True)
class _Keys:
    """The metadata of one architecture, whose keys begin with its name."""

    metadata: Metadata
    architecture: str

    def key(self, name: str) -> str:
        return f"{self.architecture}.{name}"

    def count(self, name: str, default: int | None = None) -> int:
        return self.metadata.count(self.key(name), default)

    def positive(self, name: str, default: float | None = None) -> float:
        return self.metadata.positive(self.key(name), default)

    def has(self, name: str) -> bool:
        return self.metadata.has(self.key(name))

    def error(self, name: str, what: str) -> CheckpointError:
        return self.metadata.error(f"`{self.key(name)}` {what}")


def read_shape(
    metadata: Metadata,
    tensors: Mapping[str, GgufTensor],
    vocabulary: int,
    rope_factors: list[float] | None,
) -> ModelShape:
    """The shape that the metadata describes, of a file with `tensors` and `vocabulary` tokens.

    `rope_factors` are the values of the tensor `ROPE_FACTORS`, if there is one.

    Raises:
        CheckpointError: a key is missing or absurd, or the model is none that is read here.
    """
    keys = _Keys(metadata, _architecture(metadata))
    _refuse_the_unknown(keys)
    values: Values = {
        "architectures": [_ARCHITECTURES[keys.architecture]],
        "vocab_size": keys.count("vocab_size", vocabulary),
        "hidden_size": keys.count("embedding_length"),
        "num_hidden_layers": keys.count("block_count"),
        "intermediate_size": keys.count("feed_forward_length"),
        "max_position_embeddings": keys.count("context_length"),
        "rms_norm_eps": keys.positive("attention.layer_norm_rms_epsilon"),
        "tie_word_embeddings": "output.weight" not in tensors,
        "eos_token_id": _stops(metadata),
    }
    values |= _heads(keys, keys.count("embedding_length"))
    values |= _biases(keys.architecture, tensors)
    values["rope_parameters"] = _rope(keys, rope_factors)
    return parse_shape(values, metadata.source)


def _architecture(metadata: Metadata) -> str:
    architecture = metadata.text("general.architecture", "")
    if architecture not in _ARCHITECTURES:
        known = ", ".join(_ARCHITECTURES)
        name = clean(architecture)[:60] or "none"
        raise metadata.error(f"architecture {name!r} is not read from GGUF (read: {known})")
    kind = metadata.text("general.type", "model")
    if kind != "model":
        raise metadata.error(f"holds no model but what it calls {clean(kind)[:60]!r}")
    parts = metadata.number("split.count", 1)
    if parts > 1:
        raise metadata.error(
            f"is one of {parts:.0f} parts of a model: join them (llama-gguf-split --merge)"
        )
    return architecture


def _refuse_the_unknown(keys: _Keys) -> None:
    for name, neutral in _NEUTRAL.items():
        value = keys.metadata.number(keys.key(name), neutral)
        if value != neutral:
            raise keys.error(name, f"is {value:g}, which is not computed here")
    window = keys.metadata.number(keys.key("attention.sliding_window"), 0)
    if 0 < window < keys.count("context_length"):
        raise keys.error("attention.sliding_window", "is not computed here for this architecture")


def _heads(keys: _Keys, hidden: int) -> Values:
    heads = keys.count("attention.head_count")
    head_dim = keys.count("attention.key_length", max(1, hidden // heads))
    for name in ("attention.value_length", "rope.dimension_count"):
        width = keys.count(name, head_dim)
        if width != head_dim:
            raise keys.error(name, f"is {width} and a head has {head_dim}: not supported")
    return {
        "num_attention_heads": heads,
        "num_key_value_heads": keys.count("attention.head_count_kv", heads),
        "head_dim": head_dim,
    }


def _biases(architecture: str, tensors: Mapping[str, GgufTensor]) -> Values:
    """Which biases there are is not said but in the file's tensors; Qwen 2 always has its own."""
    if architecture == "qwen2":
        return {}
    return {
        "attention_bias": "blk.0.attn_q.bias" in tensors,
        "mlp_bias": architecture == "llama" and "blk.0.ffn_up.bias" in tensors,
    }


def _stops(metadata: Metadata) -> list[object]:
    names = [f"tokenizer.ggml.{name}_token_id" for name in _STOPS]
    return [metadata.get(name) for name in names if metadata.has(name)]


def _rope(keys: _Keys, factors: list[float] | None) -> Values:
    """The rotary settings as a `config.json` states them."""
    settings: Values = {"rope_theta": keys.positive("rope.freq_base", 10_000.0)}
    kind = keys.metadata.text(keys.key("rope.scaling.type"), "")
    if not kind:
        # What files before `rope.scaling` said.
        old = keys.positive("rope.scale_linear", 1.0)
        kind = "none" if old == 1.0 else "linear"
        settings["factor"] = old
    if keys.has("rope.scaling.factor"):
        settings["factor"] = keys.positive("rope.scaling.factor")
    if factors is not None:
        if kind != "none":
            raise keys.error("rope.scaling.type", f"beside {ROPE_FACTORS!r} is not supported")
        return settings | {
            "rope_type": "longrope",
            "short_factor": factors,
            "long_factor": factors,
            "factor": 1.0,
            "attention_factor": 1.0,
            "original_max_position_embeddings": keys.count("context_length"),
        }
    match kind:
        case "none":
            settings.pop("factor", None)
        case "linear":
            settings |= {"rope_type": "linear"}
        case "yarn":
            settings |= {"rope_type": "yarn"} | _yarn(keys)
        case _:
            raise keys.error("rope.scaling.type", f"{clean(kind)[:60]!r} is not supported")
    return settings


def _yarn(keys: _Keys) -> Values:
    settings: Values = {}
    if keys.has("rope.scaling.original_context_length"):
        original = keys.count("rope.scaling.original_context_length")
        settings["original_max_position_embeddings"] = original
    for name, field in (("yarn_beta_fast", "beta_fast"), ("yarn_beta_slow", "beta_slow")):
        if keys.has(f"rope.scaling.{name}"):
            settings[field] = keys.positive(f"rope.scaling.{name}")
    if keys.positive("rope.scaling.attn_factor", 1.0) != 1.0:
        raise keys.error("rope.scaling.attn_factor", "other than 1 is not supported")
    return settings
