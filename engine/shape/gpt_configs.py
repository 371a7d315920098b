"""The shapes that the `config.json` of GPT and its relatives state: LayerNorm and a plain MLP.

Each function raises `CheckpointError` for a field that is missing or absurd, as in
`rotary_configs`.
"""

from dataclasses import replace

from ..files.json_fields import Fields
from ..protocol.wording import counted
from .field_errors import LARGEST_LAYERS
from .model_shape import ModelShape
from .parts import StoredForm, TensorNames
from .rotary_configs import read_activation, refuse


def _gpt(
    fields: Fields,
    *,
    hidden: str = "hidden_size",
    layers: str = "num_hidden_layers",
    heads: str = "num_attention_heads",
    inner: str = "intermediate_size",
    positions: str = "max_position_embeddings",
    dropout: str = "hidden_dropout",
) -> ModelShape:
    """What all of them have in common, biases on every projection among it.

    The parameters name the fields that they differ in.
    """
    width, num_heads = fields.count(hidden), fields.count(heads)
    if width % num_heads:
        raise fields.error(f"{counted(num_heads, 'head')} cannot divide `{hidden}` {width}")
    return ModelShape(
        vocabulary=fields.count("vocab_size"),
        hidden=width,
        intermediate=fields.count(inner, 4 * width),
        layers=fields.count(layers, most=LARGEST_LAYERS),
        heads=num_heads,
        kv_heads=fields.count("num_key_value_heads", num_heads),
        head_dim=width // num_heads,
        context_tokens=fields.count(positions, 2048),
        layer_norm=True,
        gated_mlp=False,
        tied_embeddings=fields.flag("tie_word_embeddings"),
        qkv_bias=True,
        output_bias=True,
        mlp_bias=True,
        dropout=fields.number(dropout, 0.0) > 0,
    )


def _gpt_of_openai(fields: Fields) -> ModelShape:
    return _gpt(
        fields,
        hidden="n_embd",
        layers="n_layer",
        heads="n_head",
        inner="n_inner",
        positions="n_positions",
        dropout="resid_pdrop",
    )


def gpt2(fields: Fields) -> ModelShape:
    """GPT-2: learned positions."""
    refuse(fields, "add_cross_attention")
    shape = _gpt_of_openai(fields)
    stored = StoredForm(names=TensorNames.GPT2)
    return replace(shape, learned_positions=shape.context_tokens, stored=stored)


def gpt2_details(shape: ModelShape, fields: Fields) -> ModelShape:
    """Its norms, activation and scale of scores. Raises `CheckpointError` for other variants."""
    if fields.flag("scale_attn_by_inverse_layer_idx"):
        raise fields.error("`scale_attn_by_inverse_layer_idx` is not supported")
    return replace(
        shape,
        norm_eps=fields.number("layer_norm_epsilon", 1e-5),
        attention_scale=None if fields.flag("scale_attn_weights", True) else 1.0,
        activation=read_activation(fields, "activation_function", "gelu_new"),
    )


def gptj(fields: Fields) -> ModelShape:
    """GPT-J: attention without biases beside an MLP with them, behind one norm."""
    return replace(
        _gpt_of_openai(fields),
        norms_per_layer=1,
        parallel_blocks=True,
        qkv_bias=False,
        output_bias=False,
        head_bias=True,
    )


def gpt_neox(fields: Fields) -> ModelShape:
    """GPT-NeoX and Pythia: attention beside the MLP, each behind its norm."""
    bias = fields.flag("attention_bias", True)
    parallel = fields.flag("use_parallel_residual", True)
    return replace(_gpt(fields), parallel_blocks=parallel, qkv_bias=bias, output_bias=bias)


def phi(fields: Fields) -> ModelShape:
    """Phi 1 and 2: attention beside the MLP, behind one norm."""
    refuse(fields, "qk_layernorm")
    shape = _gpt(fields, dropout="resid_pdrop")
    return replace(shape, norms_per_layer=1, parallel_blocks=True, head_bias=True)


def opt(fields: Fields) -> ModelShape:
    """OPT, whose table of positions has two rows that no token uses.

    Raises `CheckpointError` for the variants with other norms.
    """
    refuse(fields, "_remove_final_layer_norm")
    for name in ("do_layer_norm_before", "layer_norm_elementwise_affine"):
        if not fields.flag(name, True):
            raise fields.error(f"`{name}` false is not modelled")
    shape = _gpt(fields, inner="ffn_dim", dropout="dropout")
    if fields.count("word_embed_proj_dim", shape.hidden) != shape.hidden:
        raise fields.error("`word_embed_proj_dim` other than the hidden size is not modelled")
    bias = fields.flag("enable_bias", True)
    return replace(
        shape,
        learned_positions=shape.context_tokens + 2,
        qkv_bias=bias,
        output_bias=bias,
        mlp_bias=bias,
    )
