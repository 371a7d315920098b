"""The shapes that the `config.json` of hybrids state: recurrences beside attention or without.

They are planned with and not served, so that only what decides parameters, work and state is read.
Each function raises `CheckpointError` for a field that is missing or absurd, or a layer of a kind
that is not known.
"""

from collections.abc import Sequence
from dataclasses import replace

from ..files.json_fields import Fields
from .field_errors import LARGEST_LAYERS
from .mixture_configs import read_experts
from .model_shape import ModelShape
from .parts import Experts, Recurrence
from .rotary_configs import llama, rotary_shape

_ATTENTION = ("full_attention", "attention", "sliding_attention")
_RECURRENT = ("linear_attention", "mamba", "conv", "recurrent")
_PATTERN = {"M": "linear_attention", "*": "full_attention", "-": "mlp", "E": "moe"}
"""Nemotron-H's letters."""


def _kinds(fields: Fields, named: list[str] | None, layers: int, *others: str) -> list[str]:
    """The kind of each layer, recurrences and attention under one name each."""
    if named is None or len(named) != layers:
        raise fields.error(f"the kind of each layer must be stated: there are {layers}")
    unknown = set(named) - {*_ATTENTION, *_RECURRENT, *others}
    if unknown:
        raise fields.error(f"layers of kind {min(unknown)!r} are not modelled")
    short = dict.fromkeys(_ATTENTION, "attention") | dict.fromkeys(_RECURRENT, "recurrent")
    return [short.get(kind, kind) for kind in named]


def _with(shape: ModelShape, recurrence: Recurrence, kinds: Sequence[str]) -> ModelShape:
    """`shape` with a recurrence in its layers, and attention in those that have it."""
    recurrent = replace(recurrence, layers=kinds.count("recurrent"))
    return replace(shape, recurrence=recurrent, attention_layers=kinds.count("attention"))


def mamba2(
    hidden: int, inner: int, heads: int, state: int, groups: int, kernel: int, **has: bool
) -> Recurrence:
    """Mamba-2 (Dao and Gu 2024): `inner` features in `heads`, `groups` of keys and queries.

    has: the biases of the convolution (`conv`) and the projections (`projections`), and a `norm`.
    """
    mixed = inner + 2 * groups * state
    wide = inner + mixed + heads
    small = mixed * (kernel + has["conv"]) + 3 * heads + inner * has["norm"]
    return Recurrence(
        kind="Mamba-2",
        layers=1,
        gemms=((hidden, wide), (inner, hidden)),
        small=small + has["projections"] * (wide + hidden),
        state=inner * state + mixed * kernel,
    )


def _mamba_fields(fields: Fields, hidden: int, *, norm: bool, biases: str) -> Recurrence:
    """Mamba-2 as Falcon-H1, Bamba and Granite 4 state it."""
    inner = fields.count("mamba_d_ssm", int(fields.number("mamba_expand", 2) * hidden))
    return mamba2(
        hidden,
        inner,
        fields.count("mamba_n_heads", 128),
        fields.count("mamba_d_state", 256),
        fields.count("mamba_n_groups", 1),
        fields.count("mamba_d_conv", 4),
        conv=fields.flag("mamba_conv_bias", True),
        projections=fields.flag(biases),
        norm=norm,
    )


def falcon_h1(fields: Fields) -> ModelShape:
    """Falcon-H1: attention and Mamba-2 side by side in every layer."""
    shape = llama(fields)
    norm = fields.flag("mamba_rms_norm")
    mamba = _mamba_fields(fields, shape.hidden, norm=norm, biases="projectors_bias")
    # The input projection has a flag of its own, which no published model sets apart.
    return replace(shape, recurrence=replace(mamba, layers=shape.layers))


def granite_hybrid(fields: Fields) -> ModelShape:
    """Granite 4: Mamba-2 in nine layers of ten; a dense MLP is its shared expert alone."""
    shape = llama(fields)
    shared = fields.count("shared_intermediate_size")
    mamba = _mamba_fields(fields, shape.hidden, norm=True, biases="mamba_proj_bias")
    kinds = _kinds(fields, fields.texts("layer_types"), shape.layers)
    count = int(fields.number("num_local_experts", 0))
    if not count:
        return _with(replace(shape, intermediate=shared), mamba, kinds)
    experts = replace(read_experts(fields, shape.intermediate), shared_intermediate=shared)
    return _with(replace(shape, experts=experts), mamba, kinds)


def nemotron_h(fields: Fields) -> ModelShape:
    """Nemotron-H and Nemotron 3: each layer is a Mamba-2, attention, an MLP or experts alone."""
    pattern = fields.text("hybrid_override_pattern", "")
    unknown = set(pattern) - set(_PATTERN)
    if unknown:
        raise fields.error(f"layers {min(unknown)!r} of `hybrid_override_pattern` are not modelled")
    named = [_PATTERN[letter] for letter in pattern] or (
        fields.texts("layers_block_type") or fields.texts("layer_types") or []
    )
    kinds = _kinds(fields, named, len(named), "mlp", "moe")
    hidden, inner = fields.count("hidden_size"), fields.count("intermediate_size", 1)
    heads, width = fields.count("mamba_num_heads"), fields.count("mamba_head_dim")
    mamba = mamba2(
        hidden,
        heads * width,
        heads,
        fields.count("ssm_state_size"),
        fields.count("n_groups"),
        fields.count("conv_kernel", 4),
        conv=fields.flag("use_conv_bias", True),
        projections=fields.flag("use_bias"),
        norm=True,
    )
    bias = fields.flag("mlp_bias")
    shape = ModelShape(
        vocabulary=fields.count("vocab_size"),
        hidden=hidden,
        intermediate=inner,
        layers=len(kinds),
        heads=fields.count("num_attention_heads"),
        kv_heads=fields.count("num_key_value_heads", fields.count("num_attention_heads")),
        head_dim=fields.count("head_dim", 128),
        context_tokens=fields.count("max_position_embeddings", 4096),
        tied_embeddings=fields.flag("tie_word_embeddings"),
        gated_mlp=False,
        mlp_bias=bias,
        norms_per_layer=1,
        mlp_layers=kinds.count("mlp") + kinds.count("moe"),
    )
    if "moe" in kinds:
        experts = read_experts(fields, fields.count("moe_intermediate_size"))
        shared = fields.count("moe_shared_expert_intermediate_size")
        experts = replace(
            experts,
            shared_intermediate=shared,
            router_bias=True,
            dense_layers=kinds.count("mlp"),
            interleaved="mlp" in kinds,
            width=fields.explicit_count("moe_latent_size") or 0,
        )
        shape = replace(shape, experts=experts)
    return _with(shape, mamba, kinds)


def qwen3_next(fields: Fields) -> ModelShape:
    """Qwen3-Next and 3.5: gated DeltaNet (Yang et al. 2024) in three layers of four."""
    shape = rotary_shape(fields)
    every = fields.count("full_attention_interval", 4)
    usual = [_ATTENTION[0] if (n + 1) % every == 0 else "mamba" for n in range(shape.layers)]
    kinds = _kinds(fields, fields.texts("layer_types") or usual, shape.layers)
    keys = fields.count("linear_num_key_heads", 16) * fields.count("linear_key_head_dim", 128)
    heads, width = fields.count("linear_num_value_heads"), fields.count("linear_value_head_dim")
    mixed, kernel = 2 * keys + heads * width, fields.count("linear_conv_kernel_dim", 4)
    delta = Recurrence(
        kind="gated DeltaNet",
        layers=1,
        gemms=(
            (shape.hidden, mixed + heads * width),
            (shape.hidden, 2 * heads),
            (heads * width, shape.hidden),
        ),
        small=mixed * kernel + 2 * heads + width,
        state=heads * width * fields.count("linear_key_head_dim", 128) + mixed * kernel,
    )
    experts: Experts | None = None
    if fields.has("num_experts"):
        shared = fields.count("shared_expert_intermediate_size")
        experts = read_experts(fields, fields.count("moe_intermediate_size"))
        experts = replace(experts, shared_intermediate=shared, shared_gate=True)
    shape = replace(shape, qk_norm=True, gated_attention=True, experts=experts)
    return _with(shape, delta, kinds)


def minimax(fields: Fields) -> ModelShape:
    """MiniMax-01 and M1: lightning attention (Qin et al. 2024) in seven layers of eight."""
    shape = rotary_shape(fields)
    width = shape.heads * shape.head_dim
    lightning = Recurrence(
        kind="lightning attention",
        layers=1,
        gemms=((shape.hidden, 4 * width), (width, shape.hidden)),
        small=width,
        state=width * shape.head_dim,
    )
    flags = fields.get("attn_type_list")
    usual = [_ATTENTION[0] if (n + 1) % 2 else "mamba" for n in range(shape.layers)]
    named = fields.texts("layer_types") or usual
    if isinstance(flags, list):
        named = ["full_attention" if flag else "linear_attention" for flag in flags]
    if fields.number("shared_intermediate_size", 0):
        raise fields.error("`shared_intermediate_size` is not modelled")
    experts = read_experts(fields, shape.intermediate)
    return _with(replace(shape, experts=experts), lightning, _kinds(fields, named, shape.layers))


def lfm2(fields: Fields) -> ModelShape:
    """LFM2: short convolutions between gates, and an MLP two thirds as wide as it states."""
    shape = _lfm2(fields)
    inner = fields.count("block_ff_dim", shape.intermediate)
    if fields.flag("block_auto_adjust_ff_dim", True):
        step = fields.count("block_multiple_of", 256)
        scaled = int(fields.number("block_ffn_dim_multiplier", 1.0) * int(2 * inner / 3))
        inner = step * -(-scaled // step)
    return replace(shape, intermediate=inner)


def lfm2_moe(fields: Fields) -> ModelShape:
    """LFM2's mixture: the first layers are dense."""
    experts = replace(
        read_experts(fields, fields.count("moe_intermediate_size")),
        dense_layers=int(fields.number("num_dense_layers", 2)),
        router_bias=fields.flag("use_expert_bias", True),
    )
    return replace(_lfm2(fields), experts=experts)


def _lfm2(fields: Fields) -> ModelShape:
    shape = rotary_shape(fields)
    h, kernel, bias = shape.hidden, fields.count("conv_L_cache", 3), fields.flag("conv_bias")
    short = Recurrence(
        kind="short convolution",
        layers=1,
        gemms=((h, 3 * h), (h, h)),
        small=h * kernel + bias * 5 * h,
        state=h * kernel,
    )
    named, full = fields.texts("layer_types"), fields.get("full_attn_idxs")
    if named is None and isinstance(full, list):
        named = ["full_attention" if n in full else "conv" for n in range(shape.layers)]
    tied = fields.flag("tie_embedding", fields.flag("tie_word_embeddings", True))
    shape = replace(shape, qk_norm=True, tied_embeddings=tied)
    return _with(shape, short, _kinds(fields, named, shape.layers))


def recurrent_gemma(fields: Fields) -> ModelShape:
    """RecurrentGemma: RG-LRU (De et al. 2024), every third layer a window; it states twice the
    MLP's width."""
    bias = fields.flag("attention_bias")
    shape = replace(rotary_shape(fields), qkv_bias=bias, output_bias=True, mlp_bias=True)
    layers, heads = fields.count("num_hidden_layers", most=LARGEST_LAYERS), shape.heads
    pattern = fields.texts("block_types") or ["recurrent", "recurrent", "attention"]
    kinds = _kinds(fields, [pattern[n % len(pattern)] for n in range(layers)], layers)
    h, lru = shape.hidden, fields.count("lru_width", shape.hidden)
    kernel = fields.count("conv1d_width", 4)
    unit = Recurrence(
        kind="RG-LRU",
        layers=1,
        gemms=((h, 2 * lru), *((lru, lru // heads),) * 2, (lru, h)),
        # Its own vector, the gates' and the convolution's biases, and the projections'.
        small=lru * (1 + 2 + kernel + 1 + 2) + h,
        state=lru * kernel,
    )
    window = fields.count("attention_window_size", 2048)
    sliding = frozenset(n for n, kind in enumerate(kinds) if kind == "attention")
    shape = replace(shape, intermediate=shape.intermediate // 2, sliding_window=window)
    return _with(replace(shape, sliding_layers=sliding), unit, kinds)
