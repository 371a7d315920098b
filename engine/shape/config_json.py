"""Reading a model's shape from a Hugging Face `config.json`: one small function an architecture."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from ..files.json_fields import Fields, read_json
from ..protocol.errors import CheckpointError
from .field_errors import FieldError
from .model_shape import ModelShape
from .parts import Activation, StoredForm, TensorNames
from .quantization import read_int4_form
from .rope_settings import read_dual_rope, read_rope

_ACTIVATIONS = {
    "silu": Activation.SILU,
    "swish": Activation.SILU,
    "gelu": Activation.GELU,
    "gelu_new": Activation.GELU_TANH,
    "gelu_fast": Activation.GELU_TANH,
    "gelu_pytorch_tanh": Activation.GELU_TANH,
}


def load_config(path: Path) -> ModelShape:
    """Read the shape from `config.json` at `path`, and the stop tokens from beside it."""
    values = read_json(path)
    config = parse_config(values, str(path))
    generation = path.with_name("generation_config.json")
    if not generation.is_file():
        return config
    stops = _token_ids(read_json(generation).get("eos_token_id"), str(generation))
    return replace(config, eos_token_ids=config.eos_token_ids | stops)


def parse_config(values: Mapping[str, object], source: str) -> ModelShape:
    """Turn the fields of a `config.json` into a `ModelShape`; `source` names it in errors."""
    name = _architecture(values, source)
    stops = _token_ids(values.get("eos_token_id"), source)
    int4 = read_int4_form(Fields(values, source).table("quantization_config"))
    text = values.get("text_config")
    if isinstance(text, dict):
        # A model that sees images as well: its text model's fields lie in a table of their own.
        stops |= _token_ids(text.get("eos_token_id"), source)
        values = text
    try:
        config = _READERS[name](values, source)
    except FieldError as error:
        raise CheckpointError(f"{source}: {error}") from error
    return replace(config, eos_token_ids=stops, stored=replace(config.stored, int4=int4))


_PUBLISHED_BESIDE_CODE = frozenset({"Phi3ForCausalLM"})
"""Named in `auto_map` when they were new; their definition has been transformers' own since."""


def _architecture(values: Mapping[str, object], source: str) -> str:
    names = values.get("architectures")
    if not isinstance(names, list) or not names:
        raise CheckpointError(f"{source}: `architectures` is missing")
    if values.get("auto_map") and not _PUBLISHED_BESIDE_CODE.intersection(map(str, names)):
        raise CheckpointError(f"{source}: the model needs its own code (`auto_map`): refused")
    for name in names:
        if name in _READERS:
            return str(name)
    known = ", ".join(sorted(_READERS))
    raise CheckpointError(
        f"{source}: architecture {names[0]!r} is not supported (supported: {known})"
    )


def _token_ids(value: object, source: str) -> frozenset[int]:
    values: list[object] = value if isinstance(value, list) else [] if value is None else [value]
    ids = [item for item in values if isinstance(item, int) and not isinstance(item, bool)]
    if len(ids) != len(values):
        raise CheckpointError(f"{source}: `eos_token_id` must be a token id or a list of them")
    return frozenset(ids)


def _rotary_decoder(fields: Fields) -> ModelShape:
    """What the architectures from Llama on have in common."""
    hidden = fields.count("hidden_size")
    heads = fields.count("num_attention_heads")
    kv_heads = fields.count("num_key_value_heads", heads)
    head_dim = fields.count("head_dim", max(1, hidden // heads))
    if head_dim % 2:
        raise fields.error(f"`head_dim` is {head_dim}; rotary positions need an even one")
    return ModelShape(
        vocabulary=fields.count("vocab_size"),
        hidden=hidden,
        intermediate=fields.count("intermediate_size"),
        layers=fields.count("num_hidden_layers"),
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        context_tokens=fields.count("max_position_embeddings", 2048),
        norm_eps=fields.number("rms_norm_eps", 1e-6),
        activation=_activation(fields, "hidden_act", "silu"),
        tied_embeddings=fields.flag("tie_word_embeddings"),
    )


def _activation(fields: Fields, field: str, default: str) -> Activation:
    name = fields.text(field, default)
    if name not in _ACTIVATIONS:
        known = ", ".join(_ACTIVATIONS)
        raise fields.error(f"activation {name!r} is not supported (supported: {known})")
    return _ACTIVATIONS[name]


def _with_window(
    config: ModelShape, fields: Fields, slides: Callable[[int], bool] = lambda layer: True
) -> ModelShape:
    """`config` with the layers that slide: those that `layer_types` names, or else `slides`."""
    window = fields.explicit_count("sliding_window")
    if window is None or window >= config.context_tokens:
        return config
    kinds = fields.texts("layer_types")
    if kinds is None:
        sliding = frozenset(filter(slides, range(config.layers)))
    else:
        unknown = set(kinds) - {"full_attention", "sliding_attention"}
        if unknown or len(kinds) != config.layers:
            raise fields.error(
                "`layer_types` must say full_attention or sliding_attention for each layer"
            )
        sliding = frozenset(n for n, kind in enumerate(kinds) if kind == "sliding_attention")
    return replace(config, sliding_window=window if sliding else None, sliding_layers=sliding)


def _llama(values: Mapping[str, object], source: str) -> ModelShape:
    fields = Fields(values, source)
    bias = fields.flag("attention_bias")
    config = replace(
        _rotary_decoder(fields),
        qkv_bias=bias,
        output_bias=bias,
        mlp_bias=fields.flag("mlp_bias"),
    )
    return read_rope(config, fields)


def _mistral(values: Mapping[str, object], source: str) -> ModelShape:
    defaults = {"max_position_embeddings": 131_072, "sliding_window": 4096}
    fields = Fields(values, source, defaults)
    return _with_window(read_rope(_rotary_decoder(fields), fields), fields)


def _qwen(fields: Fields) -> ModelShape:
    """Qwen 2 and 3: the layers from `max_window_layers` on slide, where the model asks for it."""
    config = read_rope(_rotary_decoder(fields), fields)
    if not fields.flag("use_sliding_window"):
        return config
    first = int(fields.number("max_window_layers"))
    return _with_window(config, fields, lambda layer: layer >= first)


_QWEN_DEFAULTS = {
    "max_position_embeddings": 32_768,
    "sliding_window": 4096,
    "max_window_layers": 28,
}


def _qwen2(values: Mapping[str, object], source: str) -> ModelShape:
    return replace(_qwen(Fields(values, source, _QWEN_DEFAULTS)), qkv_bias=True)


def _qwen3(values: Mapping[str, object], source: str) -> ModelShape:
    fields = Fields(values, source, _QWEN_DEFAULTS | {"head_dim": 128})
    bias = fields.flag("attention_bias")
    return replace(_qwen(fields), qk_norm=True, qkv_bias=bias, output_bias=bias)


def _phi3(values: Mapping[str, object], source: str) -> ModelShape:
    defaults = {"max_position_embeddings": 4096, "rms_norm_eps": 1e-5}
    fields = Fields(values, source, defaults)
    config = replace(_rotary_decoder(fields), stored=StoredForm(names=TensorNames.PHI3))
    return _with_window(read_rope(config, fields), fields)


def _gemma(fields: Fields) -> ModelShape:
    """What Gemma 2 and 3 share: norms on both sides, stored less 1, and scaled embeddings."""
    config = _rotary_decoder(fields)
    if fields.flag("use_bidirectional_attention"):
        raise fields.error("attention in both directions is not supported")
    bias = fields.flag("attention_bias")
    return replace(
        config,
        norms_per_layer=4,
        attention_scale=fields.positive("query_pre_attn_scalar") ** -0.5,
        attention_softcap=_softcap(fields, "attn_logit_softcapping"),
        logit_softcap=_softcap(fields, "final_logit_softcapping"),
        activation=_activation(fields, "hidden_activation", "gelu_pytorch_tanh"),
        qkv_bias=bias,
        output_bias=bias,
        embedding_scale=config.hidden**0.5,
        stored=StoredForm(offset_norms=True),
    )


def _softcap(fields: Fields, name: str) -> float | None:
    return fields.positive(name) if fields.has(name) else None


_GEMMA_DEFAULTS: dict[str, object] = {
    "hidden_size": 2304,
    "intermediate_size": 9216,
    "num_hidden_layers": 26,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "head_dim": 256,
    "query_pre_attn_scalar": 256,
    "sliding_window": 4096,
    "tie_word_embeddings": True,
}
"""transformers writes only what differs from these into the table of a model with images."""


def _gemma2(values: Mapping[str, object], source: str) -> ModelShape:
    own: dict[str, object] = {"vocab_size": 256_000, "max_position_embeddings": 8192}
    # A null written down means no cap; Gemma 2 has caps unless it says so.
    caps = {"attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0}
    own |= {name: cap for name, cap in caps.items() if name not in values}
    fields = Fields(values, source, _GEMMA_DEFAULTS | own)
    return _with_window(read_rope(_gemma(fields), fields), fields, lambda layer: layer % 2 == 0)


def _gemma3(values: Mapping[str, object], source: str) -> ModelShape:
    own = {"vocab_size": 262_208, "max_position_embeddings": 131_072, "sliding_window_pattern": 6}
    fields = Fields(values, source, _GEMMA_DEFAULTS | own)
    pattern = fields.count("sliding_window_pattern")
    config = replace(read_dual_rope(_gemma(fields), fields), qk_norm=True)
    return _with_window(config, fields, lambda layer: (layer + 1) % pattern != 0)


def _gpt2(values: Mapping[str, object], source: str) -> ModelShape:
    fields = Fields(values, source, {"n_embd": 768, "n_layer": 12, "n_head": 12})
    for name in ("scale_attn_by_inverse_layer_idx", "add_cross_attention"):
        if fields.flag(name):
            raise fields.error(f"`{name}` is not supported")
    hidden, heads = fields.count("n_embd"), fields.count("n_head")
    if hidden % heads:
        raise fields.error(f"{heads} heads cannot divide `n_embd` {hidden}")
    return ModelShape(
        vocabulary=fields.count("vocab_size", 50_257),
        hidden=hidden,
        intermediate=fields.count("n_inner", 4 * hidden),
        layers=fields.count("n_layer"),
        heads=heads,
        kv_heads=heads,
        head_dim=hidden // heads,
        context_tokens=fields.count("n_positions", 1024),
        norm_eps=fields.number("layer_norm_epsilon", 1e-5),
        layer_norm=True,
        learned_positions=fields.count("n_positions", 1024),
        attention_scale=None if fields.flag("scale_attn_weights", True) else 1.0,
        activation=_activation(fields, "activation_function", "gelu_new"),
        gated_mlp=False,
        qkv_bias=True,
        output_bias=True,
        mlp_bias=True,
        tied_embeddings=fields.flag("tie_word_embeddings", True),
        dropout=fields.number("resid_pdrop", 0.1) > 0,
        stored=StoredForm(names=TensorNames.GPT2),
    )


_READERS: dict[str, Callable[[Mapping[str, object], str], ModelShape]] = {
    "LlamaForCausalLM": _llama,
    "MistralForCausalLM": _mistral,
    "Qwen2ForCausalLM": _qwen2,
    "Qwen3ForCausalLM": _qwen3,
    "Phi3ForCausalLM": _phi3,
    "Gemma2ForCausalLM": _gemma2,
    "Gemma3ForCausalLM": _gemma3,
    "Gemma3ForConditionalGeneration": _gemma3,
    "GPT2LMHeadModel": _gpt2,
}
SUPPORTED_ARCHITECTURES = frozenset(_READERS)
