"""A model's shape as Megatron-LM's flags."""

from ...shape.model_shape import ModelShape
from ...shape.parts import Activation, Experts
from ..cost.layout import Layout
from ..cost.setting import Setting
from .contract import Engine

Flags = dict[str, str | None]
"""A flag's value; `None` for one that has none."""


def model_flags(engine: Engine, setting: Setting, layout: Layout) -> Flags:
    """What builds `setting.model`; raises `InexpressibleError` for what Megatron-LM lacks."""
    model = setting.model
    for part, is_there in _lacking(model).items():
        if is_there:
            raise engine.refusal("model", f"is exported without the {part} of {model.name}")
    flags: Flags = {
        "--num-layers": str(model.layers),
        "--hidden-size": str(model.hidden),
        "--ffn-hidden-size": str(model.intermediate),
        "--num-attention-heads": str(model.heads),
        "--seq-length": str(setting.sequence),
        "--max-position-embeddings": str(max(setting.sequence, model.learned_positions)),
        "--position-embedding-type": "learned_absolute" if model.learned_positions else "rope",
        "--normalization": "LayerNorm" if model.layer_norm else "RMSNorm",
        "--attention-dropout": "0.1" if model.dropout else "0.0",
        "--hidden-dropout": "0.1" if model.dropout else "0.0",
        "--tokenizer-type": "NullTokenizer",
        "--vocab-size": str(model.vocabulary),
    }
    switches = {
        "--swiglu": model.gated_mlp,
        "--disable-bias-linear": not model.linear_bias,
        "--add-qkv-bias": model.qkv_bias and not model.linear_bias,
        "--qk-layernorm": model.qk_norm,
        "--untie-embeddings-and-output-weights": not model.tied_embeddings,
    }
    flags |= {name: None for name, wanted in switches.items() if wanted}
    flags |= _attention(model)
    if model.experts is not None:
        flags |= _experts(model.experts, model)
        if layout.tp > 1 and not layout.sequence_parallel:
            raise engine.refusal(
                "sequence_parallel", "needs it where a mixture's tensors are split"
            )
        if model.linear_bias and layout.expert_tp > 1:
            raise engine.refusal("expert_tp", "does not split experts that have biases")
    return flags


def _lacking(model: ModelShape) -> dict[str, bool]:
    """What these flags do not say, and whether `model` has it."""
    return {
        "recurrent layers": model.recurrence is not None,
        "gated attention": model.gated_attention,
        "norms over all heads": model.wide_qk_norm,
        "experts of another width": model.expert_width != model.hidden,
        "windows": model.attention_sinks or model.sliding_window is not None,
        "blocks side by side": model.parallel_blocks,
        f"{model.norms_per_layer} norms a layer": model.norms_per_layer != 2,
        "output layer's bias": model.head_bias,
        "biases of some projections": (model.output_bias or model.mlp_bias)
        and not model.linear_bias,
        "gated GELU": model.gated_mlp and model.activation is not Activation.SILU,
    }


def _attention(model: ModelShape) -> Flags:
    latent = model.latent
    if latent is None:
        flags: Flags = {"--kv-channels": str(model.head_dim)}
        if model.kv_heads != model.heads:
            flags |= {
                "--group-query-attention": None,
                "--num-query-groups": str(model.kv_heads),
            }
        return flags
    flags = {
        "--multi-latent-attention": None,
        "--kv-lora-rank": str(latent.kv_rank),
        "--qk-head-dim": str(latent.nope_dim),
        "--qk-pos-emb-head-dim": str(latent.rope_dim),
        "--v-head-dim": str(latent.value_dim),
    }
    if latent.query_rank:
        flags["--q-lora-rank"] = str(latent.query_rank)
    return flags


def _experts(experts: Experts, model: ModelShape) -> Flags:
    flags: Flags = {
        "--num-experts": str(experts.count),
        "--moe-router-topk": str(experts.active),
        "--moe-ffn-hidden-size": str(experts.intermediate),
        "--moe-grouped-gemm": None,
        "--moe-token-dispatcher-type": "alltoall",
        "--moe-router-load-balancing-type": "aux_loss",
        "--moe-aux-loss-coeff": "0.01",
    }
    if experts.active == 1:
        flags["--moe-router-pre-softmax"] = None
    if experts.dense_layers:
        sparse = model.layers - experts.dense_layers
        freq = f"([0]*{experts.dense_layers}+[1]*{sparse})"
        flags["--moe-layer-freq"] = str(model.layers // sparse) if experts.interleaved else freq
    if experts.shared_intermediate:
        flags["--moe-shared-expert-intermediate-size"] = str(experts.shared_intermediate)
    if experts.shared_gate:
        flags["--moe-shared-expert-gate"] = None
    if experts.router_bias:
        flags |= {
            "--moe-router-score-function": "sigmoid",
            "--moe-router-enable-expert-bias": None,
        }
    return flags
