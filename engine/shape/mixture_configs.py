"""The shapes that the `config.json` of mixtures of experts state: one function a family.

Each raises `CheckpointError` for a field that is missing or absurd, as in `rotary_configs`.
"""

from dataclasses import replace

from ..files.json_fields import Fields
from .field_errors import LARGEST_LAYERS
from .model_shape import ModelShape
from .parts import Experts, LatentAttention
from .rotary_configs import llama, mistral, qwen3, refuse, rotary_shape, with_window

_COUNTS = ("num_experts", "num_local_experts", "n_routed_experts")
"""The first is what Qwen's releases say, the second what transformers 5 writes of them."""
_EVERY = {"decoder_sparse_step": 1, "moe_layer_freq": 1, "mlp_only_layers": []}


def read_experts(fields: Fields, intermediate: int) -> Experts:
    """Experts in every layer; other orders of the layers are refused."""
    for name, value in _EVERY.items():
        if fields.has(name) and fields.get(name) != value:
            raise fields.error(f"`{name}` {fields.get(name)!r} is not modelled")
    name = next(filter(fields.has, _COUNTS), _COUNTS[0])
    active = fields.count("num_experts_per_tok")
    return Experts(count=fields.count(name), active=active, intermediate=intermediate)


def mixtral(fields: Fields) -> ModelShape:
    """Mixtral: experts as wide as a dense MLP would be."""
    shape = mistral(fields)
    return replace(shape, experts=read_experts(fields, shape.intermediate))


def minimax_m2(fields: Fields) -> ModelShape:
    """MiniMax M2: as Mixtral, with norms over all heads and a bias of the routing."""
    shape = mixtral(fields)
    experts = None if shape.experts is None else replace(shape.experts, router_bias=True)
    return replace(shape, qk_norm=True, wide_qk_norm=True, experts=experts)


def grok_1(fields: Fields) -> ModelShape:
    """Grok-1: norms on both sides of attention and experts, the embedding tied to the head."""
    shape = replace(rotary_shape(fields), norms_per_layer=4)
    tied = fields.flag("tie_word_embeddings", True)
    return replace(shape, tied_embeddings=tied, experts=read_experts(fields, shape.intermediate))


def dbrx(fields: Fields) -> ModelShape:
    """DBRX: attention and experts are tables of their own, its LayerNorms have no bias."""
    attention, mlp = fields.table("attn_config"), fields.table("ffn_config")
    hidden, heads = fields.count("d_model"), fields.count("n_heads")
    inner = mlp.count("ffn_hidden_size")
    return ModelShape(
        vocabulary=fields.count("vocab_size"),
        hidden=hidden,
        intermediate=inner,
        layers=fields.count("n_layers", most=LARGEST_LAYERS),
        heads=heads,
        kv_heads=attention.count("kv_n_heads"),
        head_dim=hidden // heads,
        context_tokens=fields.count("max_seq_len", 2048),
        tied_embeddings=fields.flag("tie_word_embeddings"),
        experts=Experts(
            count=mlp.count("moe_num_experts"), active=mlp.count("moe_top_k"), intermediate=inner
        ),
    )


def llama4(fields: Fields) -> ModelShape:
    """Llama 4: a shared expert beside the routed ones, perhaps in every second layer only; three
    layers of four see a chunk of the sequence."""
    shape, step = llama(fields), fields.count("interleave_moe_layer_step", 1)
    inner, named = shape.intermediate, fields.get("moe_layers")
    sparse = len(named) if isinstance(named, list) else shape.layers // step
    experts = replace(
        read_experts(fields, inner),
        shared_intermediate=inner,
        dense_layers=shape.layers - sparse,
        interleaved=sparse < shape.layers,
    )
    return replace(
        shape, intermediate=fields.count("intermediate_size_mlp", inner), experts=experts
    )


def qwen2_moe(fields: Fields) -> ModelShape:
    """Qwen 2's mixture: experts that all tokens share, behind a gate."""
    refuse(fields, "use_sliding_window")
    experts = read_experts(fields, fields.count("moe_intermediate_size"))
    shared = fields.count("shared_expert_intermediate_size")
    return replace(
        rotary_shape(fields),
        qkv_bias=fields.flag("qkv_bias", True),
        experts=replace(experts, shared_intermediate=shared, shared_gate=True),
    )


def qwen3_moe(fields: Fields) -> ModelShape:
    """Qwen 3's mixture, without shared experts."""
    refuse(fields, "use_sliding_window")
    experts = read_experts(fields, fields.count("moe_intermediate_size"))
    return replace(qwen3(fields), experts=experts)


def _after_dense(fields: Fields) -> Experts:
    """Experts, shared ones as wide each, in all layers but the first."""
    inner = fields.count("moe_intermediate_size")
    return replace(
        read_experts(fields, inner),
        shared_intermediate=inner * int(fields.number("n_shared_experts", 0)),
        dense_layers=int(fields.number("first_k_dense_replace", 0)),
    )


def glm4_moe(fields: Fields) -> ModelShape:
    """GLM 4.5 to 4.7: a bias of queries, keys and values, and of the routing."""
    return replace(
        rotary_shape(fields),
        qkv_bias=fields.flag("attention_bias"),
        qk_norm=fields.flag("use_qk_norm"),
        experts=replace(_after_dense(fields), router_bias=True),
    )


def deepseek_v2(fields: Fields) -> ModelShape:
    """DeepSeek 2: latent attention, and experts in all layers but the first.

    The modules that predict further tokens (`num_nextn_predict_layers`) are no part of the shape.
    """
    # Its biases lie on the projections into the latents.
    refuse(fields, "attention_bias", "mlp_bias")
    value_dim = fields.count("v_head_dim")
    shape = replace(
        rotary_shape(fields),
        kv_heads=fields.count("num_attention_heads"),
        head_dim=value_dim,
        latent=LatentAttention(
            kv_rank=fields.count("kv_lora_rank"),
            query_rank=fields.explicit_count("q_lora_rank") or 0,
            nope_dim=fields.count("qk_nope_head_dim"),
            rope_dim=fields.count("qk_rope_head_dim"),
            value_dim=value_dim,
        ),
    )
    if not fields.has("n_routed_experts"):
        return shape
    return replace(shape, experts=_after_dense(fields))


def deepseek_v3(fields: Fields) -> ModelShape:
    """DeepSeek 3 and Kimi K2: as DeepSeek 2, with a bias of the routing (`noaux_tc`)."""
    shape = deepseek_v2(fields)
    experts = None if shape.experts is None else replace(shape.experts, router_bias=True)
    return replace(shape, experts=experts)


def gpt_oss(fields: Fields) -> ModelShape:
    """GPT-OSS: a mixture with biases everywhere, attention sinks, every second layer slides."""
    bias = fields.flag("attention_bias", True)
    shape = with_window(rotary_shape(fields), fields, lambda layer: layer % 2 == 0)
    return replace(
        shape,
        qkv_bias=bias,
        output_bias=bias,
        mlp_bias=True,
        attention_sinks=True,
        experts=replace(read_experts(fields, shape.intermediate), router_bias=True),
    )
