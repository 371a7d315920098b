"""A transformer's shape as the planner sees it: what decides parameters, FLOPs, bytes and splits.

Counts are exact: they equal the published ones (see the tests). Formulas follow Megatron-LM's
`theoretical_memory_usage.py`, extended by biases, learned positions, mixture of experts and
DeepSeek's latent attention (MLA, DeepSeek-V2, section 2.1).
"""

from dataclasses import dataclass
from functools import cached_property

from .field_errors import FieldError, positive


@dataclass(frozen=True, slots=True, kw_only=True)
class LatentAttention:
    """DeepSeek's MLA: keys and values come from a small latent; `query_rank` 0 means a full query.

    A head's query and key have `nope_dim + rope_dim` dimensions, its value `value_dim`.
    """

    kv_rank: int
    query_rank: int
    nope_dim: int
    rope_dim: int
    value_dim: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Experts:
    """A mixture of experts in every layer but the first `dense_layers`.

    `shared_ffn` is the inner width of all shared experts together, 0 for none.
    """

    count: int
    active: int
    ffn: int
    shared_ffn: int = 0
    dense_layers: int = 0
    router_bias: bool = False
    shared_gate: bool = False


@dataclass(frozen=True, kw_only=True)
class ModelShape:
    """A decoder-only transformer. `heads` query heads share `kv_heads` key-value heads.

    `ffn` is the inner width of a dense MLP. `gated` MLPs (SwiGLU) have three matrices, others two.
    `layer_norm` has a weight and a bias, RMSNorm only a weight. `learned_positions` counts the rows
    of a learned position table, 0 for rotary or ALiBi.
    """

    name: str
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    ffn: int
    vocabulary: int
    gated: bool = True
    tied: bool = False
    layer_norm: bool = False
    linear_bias: bool = False
    qkv_bias: bool = False
    qk_norm: bool = False
    attention_sinks: bool = False
    dropout: bool = False
    learned_positions: int = 0
    window: int = 0
    window_every: int = 1
    experts: Experts | None = None
    latent: LatentAttention | None = None

    def __post_init__(self) -> None:
        for field in ("layers", "hidden", "heads", "kv_heads", "head_dim", "ffn", "vocabulary"):
            positive(field, getattr(self, field))
        if self.heads % self.kv_heads:
            raise FieldError(
                "kv_heads", f"{self.heads} heads cannot share {self.kv_heads} key-value heads"
            )
        if self.experts is not None:
            positive("experts", self.experts.count)
            positive("active experts", self.experts.active)
            positive("expert ffn", self.experts.ffn)
            if self.experts.active > self.experts.count:
                raise FieldError("active experts", "more experts active than there are")
            if not 0 <= self.experts.dense_layers <= self.layers:
                raise FieldError("dense layers", "must lie between 0 and the number of layers")

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

    @cached_property
    def attention_gemms(self) -> tuple[tuple[int, int], ...]:
        """(inputs, outputs) of each attention projection."""
        h, latent = self.hidden, self.latent
        if latent is None:
            qkv = self.query_width + 2 * self.kv_width
            return ((h, qkv), (self.value_width, h))
        query = (
            ((h, latent.query_rank), (latent.query_rank, self.query_width))
            if latent.query_rank
            else ((h, self.query_width),)
        )
        up = self.heads * (latent.nope_dim + latent.value_dim)
        down = latent.kv_rank + latent.rope_dim
        return (*query, (h, down), (latent.kv_rank, up), (self.value_width, h))

    @cached_property
    def attention_weights(self) -> int:
        """Weights of one layer's attention projections, without biases."""
        return sum(k * n for k, n in self.attention_gemms)

    @property
    def mlp_matrices(self) -> int:
        """Three for a gated MLP, two else."""
        return 3 if self.gated else 2

    @property
    def mlp_weights(self) -> int:
        """Weights of one dense layer's MLP."""
        return self.mlp_matrices * self.hidden * self.ffn

    @property
    def moe_layers(self) -> int:
        """Layers whose MLP is a mixture of experts."""
        return 0 if self.experts is None else self.layers - self.experts.dense_layers

    @property
    def dense_layers(self) -> int:
        """Layers whose MLP is dense."""
        return self.layers - self.moe_layers

    @property
    def expert_weights(self) -> int:
        """Weights of one routed expert."""
        return 0 if self.experts is None else self.mlp_matrices * self.hidden * self.experts.ffn

    @property
    def shared_expert_weights(self) -> int:
        """Weights of one layer's shared experts together."""
        return (
            0 if self.experts is None else self.mlp_matrices * self.hidden * self.experts.shared_ffn
        )

    @cached_property
    def layer_small_parameters(self) -> int:
        """Norms and biases of one layer's attention block and its two norms."""
        norm = self.hidden * (2 if self.layer_norm else 1)
        total = 2 * norm
        if self.qk_norm:
            total += 2 * self.head_dim
        if self.latent is not None:
            total += self.latent.kv_rank + self.latent.query_rank
        if self.qkv_bias or self.linear_bias:
            total += self.query_width + 2 * self.kv_width
        if self.linear_bias:
            total += self.hidden
        if self.attention_sinks:
            total += self.heads
        return total

    @cached_property
    def dense_layer_parameters(self) -> int:
        """All parameters of a layer with a dense MLP."""
        bias = ((self.mlp_matrices - 1) * self.ffn + self.hidden) if self.linear_bias else 0
        return self.attention_weights + self.layer_small_parameters + self.mlp_weights + bias

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
        bias = (self.mlp_matrices - 1) * self.experts.ffn + self.hidden if self.linear_bias else 0
        return self.experts.count * (self.expert_weights + bias)

    @cached_property
    def moe_layer_shared_parameters(self) -> int:
        """One MoE layer without its routed experts: attention, norms, router, shared experts."""
        return (
            self.attention_weights
            + self.layer_small_parameters
            + self.router_parameters
            + self.shared_expert_weights
        )

    @cached_property
    def layer_parameters(self) -> int:
        """Parameters of all layers."""
        moe = self.moe_layer_shared_parameters + self.routed_parameters
        return self.dense_layers * self.dense_layer_parameters + self.moe_layers * moe

    @property
    def embedding_parameters(self) -> int:
        """The input embedding with learned positions."""
        return (self.vocabulary + self.learned_positions) * self.hidden

    @property
    def head_parameters(self) -> int:
        """The output projection where it is its own, and the last norm."""
        norm = self.hidden * (2 if self.layer_norm else 1)
        return norm + (0 if self.tied else self.vocabulary * self.hidden)

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

    @cached_property
    def matmul_parameters(self) -> int:
        """Weights of the layers' matrices that one token is multiplied with."""
        attention = self.layers * self.attention_weights
        dense = self.dense_layers * self.mlp_weights
        if self.experts is None:
            return attention + dense
        chosen = self.experts.active * self.expert_weights + self.shared_expert_weights
        router = self.hidden * self.experts.count
        return attention + dense + self.moe_layers * (chosen + router)

    def attended(self, sequence: int, *, causal: bool = True) -> float:
        """Positions that an average token looks at, averaged over layers too."""
        full = sequence / 2 if causal else float(sequence)
        if not self.window or self.window >= sequence:
            return full
        windowed = self.window * (1 - self.window / (2 * sequence)) if causal else self.window
        return windowed / self.window_every + full * (1 - 1 / self.window_every)

    def flops_per_token(self, sequence: int, *, causal: bool = False) -> float:
        """Model FLOPs of one token, forward and backward, without recomputation.

        6 per matrix weight and 6 per head dimension pair and attended position; `causal` counts
        only positions that a token can see (Megatron-Bridge since 25.09), else all of them (PaLM,
        llm-foundry, dgxc-benchmarking: `12 L h s`).
        """
        head = self.vocabulary * self.hidden
        attended = self.attended(sequence, causal=causal)
        core = self.layers * attended * (self.query_width + self.value_width)
        return 6.0 * (self.matmul_parameters + head + core)
