"""The shapes that the `config.json` of Llama and its relatives state: one function a family.

A shape is read in two passes: what decides parameters and work, which the planner needs too, and
the details that only the engine needs. Each function raises `CheckpointError` for a field that is
missing or absurd, the second pass also for what the engine does not compute.
"""

from collections.abc import Callable
from dataclasses import replace

from ..files.json_fields import Fields
from .field_errors import LARGEST_LAYERS
from .model_shape import ModelShape
from .parts import Activation, StoredForm, TensorNames
from .rope_settings import read_dual_rope, read_rope

_ACTIVATIONS = {
    "silu": Activation.SILU,
    "swish": Activation.SILU,
    "gelu": Activation.GELU,
    "gelu_new": Activation.GELU_TANH,
    "gelu_fast": Activation.GELU_TANH,
    "gelu_pytorch_tanh": Activation.GELU_TANH,
}


def read_activation(fields: Fields, field: str, default: str) -> Activation:
    """The activation that `field` names.

    Raises:
        CheckpointError: one that the engine does not compute.
    """
    name = fields.text(field, default)
    if name not in _ACTIVATIONS:
        known = ", ".join(_ACTIVATIONS)
        raise fields.error(f"activation {name!r} is not supported (supported: {known})")
    return _ACTIVATIONS[name]


def refuse(fields: Fields, *names: str) -> None:
    """Raise `CheckpointError` where one of the flags `names` is set: it changes the parameters."""
    for name in names:
        if fields.flag(name):
            raise fields.error(f"`{name}` is not modelled")


def rotary_shape(fields: Fields) -> ModelShape:
    """What all families here have in common."""
    hidden = fields.count("hidden_size")
    heads = fields.count("num_attention_heads")
    return ModelShape(
        vocabulary=fields.count("vocab_size"),
        hidden=hidden,
        intermediate=fields.count("intermediate_size"),
        layers=fields.count("num_hidden_layers", most=LARGEST_LAYERS),
        heads=heads,
        kv_heads=fields.count("num_key_value_heads", heads),
        head_dim=fields.count("head_dim", max(1, hidden // heads)),
        context_tokens=fields.count("max_position_embeddings", 2048),
        tied_embeddings=fields.flag("tie_word_embeddings"),
    )


def rotary_details(shape: ModelShape, fields: Fields) -> ModelShape:
    """`shape` with norms, activation and positions as all families but Gemma state them."""
    detailed = replace(
        shape,
        norm_eps=fields.number("rms_norm_eps", 1e-6),
        activation=read_activation(fields, "hidden_act", "silu"),
    )
    return read_rope(detailed, fields)


def with_window(
    shape: ModelShape, fields: Fields, slides: Callable[[int], bool] = lambda layer: True
) -> ModelShape:
    """`shape` with the layers that slide: those that `layer_types` names, or else `slides`."""
    window = fields.explicit_count("sliding_window")
    if window is None:
        return shape
    kinds = fields.texts("layer_types")
    if kinds is None:
        sliding = frozenset(filter(slides, range(shape.layers)))
    else:
        unknown = set(kinds) - {"full_attention", "sliding_attention"}
        if unknown or len(kinds) != shape.layers:
            raise fields.error(
                "`layer_types` must say full_attention or sliding_attention for each layer"
            )
        sliding = frozenset(n for n, kind in enumerate(kinds) if kind == "sliding_attention")
    return replace(shape, sliding_window=window if sliding else None, sliding_layers=sliding)


def llama(fields: Fields) -> ModelShape:
    """Llama, Granite and SmolLM3: biases where they say so."""
    refuse(fields, "use_sliding_window")
    bias = fields.flag("attention_bias")
    mlp_bias = fields.flag("mlp_bias")
    return replace(rotary_shape(fields), qkv_bias=bias, output_bias=bias, mlp_bias=mlp_bias)


def olmo2(fields: Fields) -> ModelShape:
    """OLMo 2 and 3: norms behind attention and MLP, and over all heads of queries and keys."""
    shape = with_window(llama(fields), fields, lambda layer: (layer + 1) % 4 != 0)
    return replace(shape, qk_norm=True, wide_qk_norm=True)


def seed_oss(fields: Fields) -> ModelShape:
    """Seed-OSS: biases of queries, keys and values apart from that of the output."""
    bias, out = fields.flag("attention_bias", True), fields.flag("attention_out_bias")
    return replace(llama(fields), qkv_bias=bias, output_bias=out)


def starcoder2(fields: Fields) -> ModelShape:
    """StarCoder 2: LayerNorm and biases everywhere, and a plain MLP."""
    bias = fields.flag("use_bias", True)
    shape = replace(mistral(fields), layer_norm=True, gated_mlp=False)
    return replace(shape, qkv_bias=bias, output_bias=bias, mlp_bias=bias)


def nemotron(fields: Fields) -> ModelShape:
    """Nemotron 3 and 4: LayerNorm, and a plain MLP with a squared ReLU."""
    return replace(llama(fields), layer_norm=True, gated_mlp=False)


def mistral(fields: Fields) -> ModelShape:
    """Mistral: all layers slide, where there is a window."""
    return with_window(rotary_shape(fields), fields)


def qwen2(fields: Fields) -> ModelShape:
    """Qwen 2 and 2.5: biases of queries, keys and values."""
    return replace(_qwen(fields), qkv_bias=True)


def qwen3(fields: Fields) -> ModelShape:
    """Qwen 3: norms of queries and keys."""
    bias = fields.flag("attention_bias")
    return replace(_qwen(fields), qk_norm=True, qkv_bias=bias, output_bias=bias)


def _qwen(fields: Fields) -> ModelShape:
    """Qwen 2 and 3: the layers from `max_window_layers` on slide, where the model asks for it."""
    shape = rotary_shape(fields)
    if not fields.flag("use_sliding_window"):
        return shape
    first = int(fields.number("max_window_layers"))
    return with_window(shape, fields, lambda layer: layer >= first)


def phi3(fields: Fields) -> ModelShape:
    """Phi 3: a Mistral with fused tensors."""
    return replace(mistral(fields), stored=StoredForm(names=TensorNames.PHI3))


def gemma(fields: Fields) -> ModelShape:
    """Gemma 1: norms stored less 1."""
    return replace(llama(fields), stored=StoredForm(offset_norms=True))


def gemma2(fields: Fields) -> ModelShape:
    """Gemma 2: norms on both sides of attention and MLP, every second layer slides."""
    shape = replace(gemma(fields), norms_per_layer=4)
    return with_window(shape, fields, lambda layer: layer % 2 == 0)


def gemma3(fields: Fields) -> ModelShape:
    """Gemma 3: as Gemma 2, with norms of queries and keys, and five layers of six sliding."""
    pattern = fields.count("sliding_window_pattern")
    shape = replace(gemma(fields), norms_per_layer=4, qk_norm=True)
    return with_window(shape, fields, lambda layer: (layer + 1) % pattern != 0)


def gemma_details(shape: ModelShape, fields: Fields) -> ModelShape:
    """Gemma 1 calls its tanh approximation plain GELU."""
    detailed = replace(
        shape,
        norm_eps=fields.number("rms_norm_eps", 1e-6),
        activation=Activation.GELU_TANH,
        embedding_scale=shape.hidden**0.5,
    )
    return read_rope(detailed, fields)


def gemma2_details(shape: ModelShape, fields: Fields) -> ModelShape:
    """Gemma 2: one rotary base."""
    return read_rope(_gemma_details(shape, fields), fields)


def gemma3_details(shape: ModelShape, fields: Fields) -> ModelShape:
    """Gemma 3: a rotary base of its own for the layers that slide."""
    return read_dual_rope(_gemma_details(shape, fields), fields)


def _gemma_details(shape: ModelShape, fields: Fields) -> ModelShape:
    """Capped scores and logits, a scale of its own, and scaled embeddings."""
    if fields.flag("use_bidirectional_attention"):
        raise fields.error("attention in both directions is not supported")
    return replace(
        shape,
        norm_eps=fields.number("rms_norm_eps", 1e-6),
        activation=read_activation(fields, "hidden_activation", "gelu_pytorch_tanh"),
        attention_scale=fields.positive("query_pre_attn_scalar") ** -0.5,
        attention_softcap=_softcap(fields, "attn_logit_softcapping"),
        logit_softcap=_softcap(fields, "final_logit_softcapping"),
        embedding_scale=shape.hidden**0.5,
    )


def _softcap(fields: Fields, name: str) -> float | None:
    """A null written down means no cap, whatever the default."""
    return None if fields.is_null(name) or not fields.has(name) else fields.positive(name)
