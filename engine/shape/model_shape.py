"""A model's shape: the one record that engine, roofline, planner and screen share.

An architecture is a set of flags here, not a class of its own. Counts are exact: they equal those
of the published checkpoints (see the tests). Formulas follow Megatron-LM's
`theoretical_memory_usage.py`, extended by biases, learned positions, mixtures of experts and
DeepSeek's latent attention (MLA, DeepSeek-V2, section 2.1).
"""

from dataclasses import dataclass, field
from functools import cached_property

from ..protocol.wording import counted
from .field_errors import FieldError, positive
from .layer_kinds import LayerKinds
from .parts import (
    PLAIN_FORM,
    Activation,
    Experts,
    LatentAttention,
    Recurrence,
    RopeScaling,
    StoredForm,
)

_COUNTS = ("layers", "hidden", "heads", "kv_heads", "head_dim", "intermediate", "vocabulary")


@dataclass(frozen=True, kw_only=True)
class ModelShape(LayerKinds):
    """A decoder-only transformer. `name`, `unserved` and `notes` are no part of its comparison.

    `heads` query heads share `kv_heads` key-value heads (grouped-query attention). `intermediate`
    is the inner width of a dense MLP: three matrices where `gated_mlp` (SwiGLU), else two.
    `layer_norm` has a weight and a bias, RMSNorm only a weight. `norms_per_layer`: one that
    attention and MLP share, one before each, or one on each side of each (`sandwich_norms`).
    `parallel_blocks`: attention and MLP both read the layer's input.

    A hybrid has a `recurrence` in some layers, and attention and an MLP perhaps in fewer than all:
    `attention_layers` and `mlp_layers` (`None`: all). `gated_attention`: queries bring a gate of
    the same width. `wide_qk_norm`: queries' and keys' norms go over all heads, not over one.

    `learned_positions` counts the rows of a learned position table, 0 where positions are rotary
    over `rotary_dim` dimensions of each head (`None`: all). Layers in `sliding_layers` see
    `sliding_window` tokens back; with a `local_rope_theta` their rotary base is that one, unscaled.
    Scores are multiplied by `attention_scale` (`None`: `head_dim ** -0.5`).
    `dropout`: trained with dropout behind attention and MLP. `unserved`: what the model has beyond
    this record, for which the engine cannot serve it, if anything. `notes`: settings without use.

    Raises:
        FieldError: a count that is not positive, or heads that cannot share key-value heads.
    """

    name: str = field(default="", compare=False)
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    intermediate: int
    vocabulary: int
    context_tokens: int = 2048
    gated_mlp: bool = True
    activation: Activation = Activation.SILU
    tied_embeddings: bool = False
    layer_norm: bool = False
    norm_eps: float = 1e-5
    norms_per_layer: int = 2
    qk_norm: bool = False
    wide_qk_norm: bool = False
    qkv_bias: bool = False
    output_bias: bool = False
    mlp_bias: bool = False
    head_bias: bool = False
    parallel_blocks: bool = False
    dropout: bool = False
    experts: Experts | None = None
    latent: LatentAttention | None = None
    recurrence: Recurrence | None = None
    attention_layers: int | None = None
    mlp_layers: int | None = None
    gated_attention: bool = False
    attention_sinks: bool = False
    learned_positions: int = 0
    rope_theta: float = 10_000.0
    rope_scaling: RopeScaling | None = None
    rotary_dim: int | None = None
    local_rope_theta: float | None = None
    sliding_window: int | None = None
    sliding_layers: frozenset[int] = frozenset()
    attention_scale: float | None = None
    attention_softcap: float | None = None
    logit_softcap: float | None = None
    embedding_scale: float | None = None
    eos_token_ids: frozenset[int] = frozenset()
    stored: StoredForm = PLAIN_FORM
    unserved: str = field(default="", compare=False)
    notes: tuple[str, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        for name in _COUNTS:
            positive(name, getattr(self, name))
        if self.heads % self.kv_heads:
            shared = counted(self.kv_heads, "key-value head")
            raise FieldError("kv_heads", f"{counted(self.heads, 'head')} cannot share {shared}")
        if self.experts is not None and self.experts.dense_layers > self.layers_with_mlp:
            raise FieldError("dense layers", "must lie between 0 and the number of layers")

    @cached_property
    def _hash(self) -> int:
        return hash((self.layers, self.hidden, self.heads, self.kv_heads, self.intermediate))

    def __hash__(self) -> int:
        # Every estimate looks up caches by its shape, and a few fields tell shapes apart.
        return self._hash

    # Widths of the attention.

    @property
    def query_width(self) -> int:
        """Features of all query heads together."""
        if self.latent is not None:
            return self.heads * (self.latent.nope_dim + self.latent.rope_dim)
        return self.heads * self.head_dim

    @property
    def kv_width(self) -> int:
        """Features of all key heads together; values have as many, except under MLA."""
        return self.query_width if self.latent is not None else self.kv_heads * self.head_dim

    @property
    def value_width(self) -> int:
        """Features of the attention's output before its projection."""
        if self.latent is not None:
            return self.heads * self.latent.value_dim
        return self.heads * self.head_dim

    @property
    def value_kept_width(self) -> int:
        """Features of the values that attention keeps for its backward pass, grouped like keys."""
        return self.value_width if self.latent is not None else self.kv_width

    @property
    def kv_cache_width(self) -> int:
        """Elements that one token leaves in one layer's cache; MLA keeps only its latent."""
        if self.latent is not None:
            return self.latent.kv_rank + self.latent.rope_dim
        return 2 * self.kv_heads * self.head_dim

    @property
    def kv_elements_per_token(self) -> int:
        """Elements that one token leaves in the cache, over all layers."""
        return self.layers_with_attention * self.kv_cache_width

    @property
    def qkv_rows(self) -> int:
        """Output features of the fused query, key and value projection."""
        queries = self.heads * (2 if self.gated_attention else 1)
        return (queries + 2 * self.kv_heads) * self.head_dim

    @cached_property
    def attention_gemms(self) -> tuple[tuple[int, int], ...]:
        """(inputs, outputs) of each attention projection."""
        h, latent = self.hidden, self.latent
        if latent is None:
            return ((h, self.qkv_rows), (self.value_width, h))
        query = (
            ((h, latent.query_rank), (latent.query_rank, self.query_width))
            if latent.query_rank
            else ((h, self.query_width),)
        )
        up = self.heads * (latent.nope_dim + latent.value_dim)
        down = latent.kv_rank + latent.rope_dim
        return (*query, (h, down), (latent.kv_rank, up), (self.value_width, h))

    # The layers' matrices.

    @cached_property
    def attention_weights(self) -> int:
        """Weights of one layer's attention projections, without biases."""
        return sum(k * n for k, n in self.attention_gemms)

    @property
    def mlp_matrices(self) -> int:
        """Three for a gated MLP, two else."""
        return 3 if self.gated_mlp else 2

    @property
    def gate_up_rows(self) -> int:
        """Output features of the MLP's first projection: gate and up, or up alone."""
        return (self.mlp_matrices - 1) * self.intermediate

    @property
    def mlp_weights(self) -> int:
        """Weights of one dense layer's MLP."""
        return self.mlp_matrices * self.hidden * self.intermediate

    @property
    def moe_layers(self) -> int:
        """Layers whose MLP is a mixture of experts."""
        return 0 if self.experts is None else self.layers_with_mlp - self.experts.dense_layers

    @property
    def dense_layers(self) -> int:
        """Layers whose MLP is dense."""
        return self.layers_with_mlp - self.moe_layers

    @property
    def expert_weights(self) -> int:
        """Weights of one routed expert."""
        if self.experts is None:
            return 0
        return self.mlp_matrices * self.expert_width * self.experts.intermediate

    @property
    def expert_width(self) -> int:
        """Features of a token that a routed expert reads and writes."""
        return (self.experts.width if self.experts else 0) or self.hidden

    @property
    def shared_expert_weights(self) -> int:
        """Weights of one layer's shared experts together, with the way to a narrower width."""
        if self.experts is None:
            return 0
        inner = self.mlp_matrices * self.experts.shared_intermediate
        return self.hidden * (inner + 2 * self.experts.width)

    @cached_property
    def linear_parameters(self) -> int:
        """Weights of all layers' matrices: what a precision level packs, routers apart."""
        experts = 0 if self.experts is None else self.experts.count * self.expert_weights
        return (
            self.mixer_weights
            + self.dense_layers * self.mlp_weights
            + self.moe_layers * (experts + self.shared_expert_weights)
        )

    @cached_property
    def mixer_weights(self) -> int:
        """Weights of the projections of all layers' attention and recurrences."""
        recurrent = self.recurrence.layers * self.recurrence.weights if self.recurrence else 0
        return self.layers_with_attention * self.attention_weights + recurrent

    @cached_property
    def matmul_parameters(self) -> int:
        """Weights of the layers' matrices that one token is multiplied with."""
        mixers = self.mixer_weights
        dense = self.dense_layers * self.mlp_weights
        if self.experts is None:
            return mixers + dense
        chosen = self.experts.active * self.expert_weights + self.shared_expert_weights
        router = self.hidden * self.experts.count
        return mixers + dense + self.moe_layers * (chosen + router)

    # All parameters.

    @property
    def sandwich_norms(self) -> bool:
        """Whether the outputs of attention and MLP are normalized too (Gemma 2 and 3)."""
        return self.norms_per_layer == 4

    @property
    def linear_bias(self) -> bool:
        """Whether every projection of the layers has a bias, as GPT's have."""
        return self.qkv_bias and self.output_bias and self.mlp_bias

    @property
    def _norm(self) -> int:
        """Parameters of one norm over the hidden size."""
        return self.hidden * (2 if self.layer_norm else 1)

    @cached_property
    def attention_small_parameters(self) -> int:
        """Norms, biases and sinks of one layer's attention."""
        total = 0
        if self.qk_norm:
            total = self.query_width + self.kv_width if self.wide_qk_norm else 2 * self.head_dim
        if self.latent is not None:
            total += self.latent.kv_rank + self.latent.query_rank
        if self.qkv_bias:
            total += self.query_width + 2 * self.kv_width
        if self.output_bias:
            total += self.hidden
        if self.attention_sinks:
            total += self.heads
        return total

    @cached_property
    def small_parameters(self) -> int:
        """All layers' norms, and what attention and recurrences have beside their projections."""
        recurrent = self.recurrence.layers * self.recurrence.small if self.recurrence else 0
        attention = self.layers_with_attention * self.attention_small_parameters
        return self.layers * self.norms_per_layer * self._norm + attention + recurrent

    def _mlp_biases(self, intermediate: int) -> int:
        return self.mlp_bias * ((self.mlp_matrices - 1) * intermediate + self.hidden)

    @cached_property
    def dense_mlp_parameters(self) -> int:
        """A dense MLP with its biases."""
        return self.mlp_weights + self._mlp_biases(self.intermediate)

    @cached_property
    def router_parameters(self) -> int:
        """One MoE layer's router, with the shared expert's gate where there is one."""
        if self.experts is None:
            return 0
        gate = self.hidden if self.experts.shared_gate else 0
        bias = self.experts.count if self.experts.router_bias else 0
        return self.hidden * self.experts.count + bias + gate

    @cached_property
    def routed_parameters(self) -> int:
        """All routed experts of one MoE layer."""
        if self.experts is None:
            return 0
        biases = self._mlp_biases(self.experts.intermediate)
        return self.experts.count * (self.expert_weights + biases)

    @cached_property
    def layer_parameters(self) -> int:
        """Parameters of all layers."""
        moe = self.router_parameters + self.shared_expert_weights + self.routed_parameters
        mixers = self.mixer_weights + self.small_parameters
        return mixers + self.dense_layers * self.dense_mlp_parameters + self.moe_layers * moe

    @property
    def embedding_parameters(self) -> int:
        """The input embedding with learned positions."""
        return (self.vocabulary + self.learned_positions) * self.hidden

    @property
    def head_weights(self) -> int:
        """Weights of the output projection, also where it shares them with the embedding."""
        return self.vocabulary * self.hidden

    @property
    def head_parameters(self) -> int:
        """The output projection where it is its own, its bias, and the last norm."""
        own = 0 if self.tied_embeddings else self.head_weights
        return self._norm + own + self.head_bias * self.vocabulary

    @cached_property
    def parameters(self) -> int:
        """All parameters; a tied embedding counts once."""
        return self.layer_parameters + self.embedding_parameters + self.head_parameters

    @cached_property
    def active_parameters(self) -> int:
        """Parameters that one token meets: routed experts count only where they are chosen."""
        if self.experts is None:
            return self.parameters
        idle = self.routed_parameters * (1 - self.experts.active / self.experts.count)
        return self.parameters - round(self.moe_layers * idle)

    # Attention over a sequence.

    def window_of(self, layer: int) -> int | None:
        """How many tokens a query of `layer` sees, itself included; `None` is all of them."""
        return self.sliding_window if layer in self.sliding_layers else None

    @property
    def sliding_share(self) -> float:
        """The part of the layers that see a window only."""
        return len(self.sliding_layers) / self.layers

    def attended(self, sequence: int, *, causal: bool = True) -> float:
        """Positions that an average token looks at, averaged over layers too."""
        full, window = sequence / 2 if causal else float(sequence), self.sliding_window
        if window is None or window >= sequence:
            return full * self.attention_share
        windowed = window * (1 - window / (2 * sequence)) if causal else window
        return windowed * self.sliding_share + full * (self.attention_share - self.sliding_share)

    def flops_per_token(self, sequence: int, *, causal: bool = False) -> float:
        """Model FLOPs of one token, forward and backward, without recomputation.

        6 per matrix weight and 6 per head dimension pair and attended position; 12 per element of a
        recurrent state, which each token reads and writes. `causal` counts
        only positions that a token can see (Megatron-Bridge since 25.09), else all of them (PaLM,
        llm-foundry, dgxc-benchmarking: `12 L h s`).
        """
        attended = self.attended(sequence, causal=causal)
        core = self.layers * attended * (self.query_width + self.value_width)
        weights = self.matmul_parameters + self.head_weights + 2 * self.state_elements
        return 6.0 * (weights + core)
