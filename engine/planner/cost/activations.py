"""Bytes of activations: what a layer keeps, how many layers at once, and the logits.

After Korthikanti et al. 2022, counted per operation so that SwiGLU, grouped queries and a missing
dropout are exact.
"""

from functools import lru_cache
from typing import NamedTuple

from .layout import Layout
from .recomputation import recomputed_layers
from .setting import Setting
from .stages import stage_layers

LAYERS_ON_THEIR_WAY = 2
"""Of offloaded activations: one layer that is sent or fetched beside the one that runs."""
LOSS_CHUNKS = 8
"""Pieces of a chunked loss (torchtune's default; Liger's are about as large)."""


class PipelineEnd(NamedTuple):
    """Bytes that one end of the pipeline keeps: layers in flight, the embedding's output, logits.

    `heads` is 1 where it has the logits, of so many `tokens`. A tuple: a search sizes many
    thousands.
    """

    layers: float
    layer_bytes: float
    stem: float
    tokens: float
    heads: int
    logits: float

    @property
    def kept_bytes(self) -> float:
        """Bytes kept for the backward pass, logits apart."""
        return self.layers * self.layer_bytes + self.stem


def fullest_end(setting: Setting, layout: Layout) -> PipelineEnd:
    """The first stage with most micro-batches in flight, or the last with the logits.

    Under 1F1B the last stage holds one micro-batch; without a pipeline both ends are one.
    """
    layer_bytes = layer_activation_bytes(setting, layout)
    tokens = layout.micro_batch * setting.sequence / layout.cp
    logits = logit_bytes(setting, layout, tokens)
    in_flight, stem = in_flight_layers(setting, layout), stem_bytes(setting, layout, tokens)
    if layout.offload == "activations":
        in_flight = min(in_flight, LAYERS_ON_THEIR_WAY)
    if layout.pp == 1:
        return PipelineEnd(in_flight, layer_bytes, stem, tokens, 1, logits)
    first = PipelineEnd(in_flight, layer_bytes, stem, tokens, 0, 0.0)
    batches = layout.micro_batches if layout.schedule == "gpipe" else 1
    layers = stage_layers(setting.model.layers, layout.pp).last * batches
    if layout.offload == "activations":
        layers = min(layers, LAYERS_ON_THEIR_WAY)
    last = PipelineEnd(layers, layer_bytes, 0.0, tokens, 1, logits)
    return last if last.kept_bytes + logits > first.kept_bytes else first


def in_flight_layers(setting: Setting, layout: Layout) -> float:
    """Layers whose activations the first stage holds at once.

    1F1B holds min(m, p) micro-batches, GPipe all m; interleaving adds (p - 1)/v chunks' worth:
    `L / p · (p + (p - 1) / v)` (Korthikanti et al. 2022, section 4.2.3).
    """
    stage = stage_layers(setting.model.layers, layout.pp)
    layers = stage.inner
    p, v, m = layout.pp, layout.vp, layout.micro_batches
    if p == 1 or layout.schedule == "sequential":
        return float(layers)
    if layout.schedule == "gpipe":
        return float(layers * m)
    if v == 1:
        return float(layers * min(m, p))
    return min(layers * m, layers * (p + (p - 1) / v))


def layer_activation_bytes(setting: Setting, layout: Layout) -> float:
    """Bytes that one layer keeps for its backward pass, per micro-batch."""
    if layout.recompute == "none":
        return _whole_layer_bytes(setting, layout)
    tokens = layout.micro_batch * setting.sequence / layout.cp
    tp, modules, parallel = layout.tp, layout.recompute_modules, layout.sequence_parallel
    if layout.recompute == "selective":
        if "op" in modules or (not modules and setting.software.op_recompute):
            return _op_level_bytes(setting, tokens, tp, parallel)
        return _layer_bytes(setting, tokens, tp, parallel, keep_scores=False, modules=modules)
    input_bytes = 2.0 * tokens * setting.model.hidden / (tp if parallel else 1)
    share = recomputed_layers(setting, layout)
    if share == 1:
        return input_bytes
    return share * input_bytes + (1 - share) * _whole_layer_bytes(setting, layout)


def _whole_layer_bytes(setting: Setting, layout: Layout) -> float:
    tokens = layout.micro_batch * setting.sequence / layout.cp
    scores = setting.software.attention == "unfused"
    tp, parallel = layout.tp, layout.sequence_parallel
    fp8 = layout.precision in setting.constants.recipes and setting.software.fp8_inputs
    return _layer_bytes(setting, tokens, tp, parallel, keep_scores=scores, modules=(), fp8=fp8)


@lru_cache(maxsize=65_536)
def _layer_bytes(
    setting: Setting,
    tokens: float,
    tp: int,
    sequence_parallel: bool,
    *,
    keep_scores: bool,
    modules: tuple[str, ...],
    fp8: bool = False,
) -> float:
    """What each operation keeps of its input, per token; 2 bytes an element, masks 1.

    Replicated over tensor ranks unless sequence parallelism splits them: norm inputs, the inputs of
    the two blocks, dropout masks. Split: queries, keys, values, attention output, the MLP's inside.
    GPT with dropout, f = 4h and MHA gives Korthikanti's 34, and 10 + 24/t; scores 5 a s / h.
    """
    model = setting.model
    h = model.hidden
    moe = model.moe_layers / model.layers
    norms = 2.0 * h * model.norms_per_layer
    # Inputs of products are kept for the weights' gradients: in fp8 a byte each, and none where
    # weights are frozen, but that of the attention, which small adapters read. Adapters that are
    # told of sit on every product, and read the inputs of all.
    product = 1.0 if fp8 else 2.0
    untouched = setting.frozen and setting.trained_share == 1
    blocks = product * h * (1 if untouched else min(2, model.norms_per_layer))
    masks = 2.0 * h if model.dropout else 0.0
    if "layernorm" in modules:
        blocks = 0.0
    queries = model.query_width * (2 if model.gated_attention else 1)
    qkv = 2.0 * (queries + model.kv_width + model.value_kept_width)
    if model.latent is not None:
        latent = 2.0 * (model.latent.kv_rank + model.latent.rope_dim + model.latent.query_rank)
        norms += 2 * latent
        if "mla_up_proj" in modules:
            qkv = 0.0
    attention = qkv + 2.0 * model.value_width + 4.0 * model.heads
    kept = 0.0 if untouched else product
    if keep_scores:
        attention += 5.0 * model.heads * setting.sequence
    attention *= model.attention_share
    if model.recurrence is not None:
        attention += 2.0 * model.recurrence.width * model.recurrent_share
    dense = (
        0.0
        if "mlp" in modules
        else _mlp_bytes(model.intermediate, gated=model.gated_mlp, kept=kept)
    )
    inside = dense * (model.dense_layers / model.layers)
    experts = model.experts
    if experts is not None:
        gated = model.gated_mlp
        routed = experts.active * (
            _mlp_bytes(
                experts.intermediate, gated=gated, kept=0.0 if "moe_act" in modules else kept
            )
            + product * model.expert_width
        )
        shared = _mlp_bytes(experts.shared_intermediate, gated=gated, kept=kept)
        inside += moe * ((0.0 if "moe" in modules else routed) + shared)
    share = tp if sequence_parallel else 1
    gathered = share if setting.software.regather else 1
    split = (norms + masks) / share + blocks / gathered + (attention + inside) / tp
    return tokens * split


def _mlp_bytes(ffn: int, *, gated: bool, kept: float) -> float:
    """Activation input (both halves where gated) and `kept` bytes of the down projection's."""
    return 2.0 * ffn * (2 if gated else 1) + kept * ffn


def _op_level_bytes(setting: Setting, tokens: float, tp: int, sequence_parallel: bool) -> float:
    """torchtitan's op-level checkpointing: the layer's input, attention's output, some products.

    Of q, k, v, o, gate, up, down it keeps q, v, gate and down.
    """
    model = setting.model
    whole = 2.0 * model.hidden
    split = 2.0 * (model.query_width + model.kv_width + model.value_width + model.intermediate)
    split += 2.0 * model.hidden + 4.0 * model.heads
    return tokens * (whole / (tp if sequence_parallel else 1) + split / tp)


def working_set_bytes(setting: Setting, layout: Layout) -> float:
    """What the layer that runs needs beside what is kept: recomputed activations, gradients."""
    tokens = layout.micro_batch * setting.sequence / layout.cp
    share = layout.tp if layout.sequence_parallel else 1
    model = setting.model
    passing = tokens * (2.0 * model.hidden / share * 2)
    inner = model.intermediate * (2 if model.gated_mlp else 1)
    if model.experts is not None and model.moe_layers:
        inner = max(inner, model.experts.active * model.experts.intermediate * 2)
    passing += tokens * 2.0 * inner / layout.tp
    if layout.recompute == "none":
        return passing
    again = _whole_layer_bytes(setting, layout) - layer_activation_bytes(setting, layout)
    return passing + max(0.0, again)


def stem_bytes(setting: Setting, layout: Layout, tokens: float) -> float:
    """The embedding's output (and its dropout mask) of the micro-batches in flight."""
    share = layout.tp if layout.sequence_parallel else 1
    width = setting.model.hidden * (3.0 if setting.model.dropout else 2.0) / share
    if layout.schedule == "sequential":
        return tokens * width
    return tokens * width * min(layout.micro_batches, layout.pp)


def logit_bytes(setting: Setting, layout: Layout, tokens: float) -> float:
    """Logits of one micro-batch in bf16, their fp32 copies and gradient, and their input."""
    model = setting.model
    copies = setting.software.logit_copies / (LOSS_CHUNKS if setting.chunked_loss else 1)
    return copies * tokens * model.vocabulary / layout.tp + 4.0 * tokens * model.hidden
