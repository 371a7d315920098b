"""A model's shape: one frozen record for every architecture that the decoder serves.

An architecture is a set of flags here, not a class of its own. `hf_config` reads it from a
`config.json`.
"""

from dataclasses import dataclass
from enum import StrEnum


class Activation(StrEnum):
    """What an MLP's gate goes through: SiLU, or GELU exactly or through its tanh approximation."""

    SILU = "silu"
    GELU = "gelu"
    GELU_TANH = "gelu_tanh"


@dataclass(frozen=True, slots=True)
class LinearScaling:
    """Positions divided by `factor` (Chen et al. 2023)."""

    factor: float


@dataclass(frozen=True, slots=True)
class Llama3Scaling:
    """Llama 3's frequency scaling (Dubey et al. 2024, as in transformers' `llama3` rope type)."""

    factor: float
    low_freq_factor: float
    high_freq_factor: float
    original_context_tokens: int


@dataclass(frozen=True, slots=True)
class YarnScaling:
    """YaRN (Peng et al. 2023): short waves as they were, long ones stretched by `factor`.

    The ramp between them begins where a wave turns `beta_fast` times within the original context,
    and ends where it turns `beta_slow` times; `truncate` rounds both ends to whole dimensions.
    Queries and keys are multiplied by `attention_factor`.
    """

    factor: float
    original_context_tokens: int
    attention_factor: float
    beta_fast: float = 32.0
    beta_slow: float = 1.0
    truncate: bool = True


@dataclass(frozen=True, slots=True)
class LongRopeScaling:
    """LongRoPE (Ding et al. 2024): a divisor a frequency, `long` ones beyond the original context.

    Queries and keys are multiplied by `attention_factor`.
    """

    short_factors: tuple[float, ...]
    long_factors: tuple[float, ...]
    original_context_tokens: int
    attention_factor: float


RopeScaling = LinearScaling | Llama3Scaling | YarnScaling | LongRopeScaling


class TensorNames(StrEnum):
    """Whose names and fusions a checkpoint's tensors follow."""

    LLAMA = "llama"
    PHI3 = "phi3"
    GPT2 = "gpt2"


class Int4Method(StrEnum):
    """How a checkpoint of 4-bit weights packs them; GPTQ's first version stores zeros less 1."""

    GPTQ = "gptq"
    GPTQ_V2 = "gptq_v2"
    AWQ = "awq"


@dataclass(frozen=True, slots=True)
class Int4Form:
    """Layers' weights stored in 4 bits, with a scale and a zero point for `group` inputs."""

    method: Int4Method
    group: int


@dataclass(frozen=True, slots=True)
class StoredForm:
    """How a checkpoint writes down the weights: nothing that the decoder needs to know.

    `offset_norms`: norm weights are stored less 1 (Gemma).
    """

    names: TensorNames = TensorNames.LLAMA
    offset_norms: bool = False
    int4: Int4Form | None = None


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """The shape of a decoder-only transformer.

    `heads` query heads share `kv_heads` key-value heads (grouped-query attention). Positions are
    rotary, over `rotary_dim` dimensions of each head (`None`: all), or learned. Layers in
    `sliding_layers` see `sliding_window` tokens back; with a `local_rope_theta` their rotary base
    is that one, unscaled. Scores are multiplied by `attention_scale` (`None`:
    `head_dim ** -0.5`). `sandwich_norms`: the outputs of attention and MLP are normalized too.
    """

    vocabulary: int
    hidden: int
    intermediate: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    context_tokens: int
    norm_eps: float = 1e-5
    layer_norm: bool = False
    sandwich_norms: bool = False
    qk_norm: bool = False
    learned_positions: bool = False
    rope_theta: float = 10_000.0
    rope_scaling: RopeScaling | None = None
    rotary_dim: int | None = None
    local_rope_theta: float | None = None
    sliding_window: int | None = None
    sliding_layers: frozenset[int] = frozenset()
    attention_scale: float | None = None
    attention_softcap: float | None = None
    logit_softcap: float | None = None
    activation: Activation = Activation.SILU
    gated_mlp: bool = True
    qkv_bias: bool = False
    output_bias: bool = False
    mlp_bias: bool = False
    embedding_scale: float | None = None
    tied_embeddings: bool = False
    eos_token_ids: frozenset[int] = frozenset()
    stored: StoredForm = StoredForm()

    @property
    def qkv_rows(self) -> int:
        """Output features of the fused query, key and value projection."""
        return (self.heads + 2 * self.kv_heads) * self.head_dim

    @property
    def gate_up_rows(self) -> int:
        """Output features of the MLP's first projection: gate and up, or up alone."""
        return (2 if self.gated_mlp else 1) * self.intermediate

    @property
    def kv_elements_per_token(self) -> int:
        """Elements of keys and values that one token leaves in the cache, over all layers."""
        return self.layers * 2 * self.kv_heads * self.head_dim

    @property
    def linear_parameters(self) -> int:
        """Weights of the projections inside the layers: what a precision level packs."""
        attention = self.hidden * self.qkv_rows + self.heads * self.head_dim * self.hidden
        mlp = self.hidden * (self.gate_up_rows + self.intermediate)
        return self.layers * (attention + mlp)

    @property
    def parameters(self) -> int:
        """All parameters, a tied embedding counted once."""
        embeddings = self.vocabulary * self.hidden * (1 if self.tied_embeddings else 2)
        positions = self.context_tokens * self.hidden if self.learned_positions else 0
        norms_per_layer = 4 if self.sandwich_norms else 2
        norms = (2 if self.layer_norm else 1) * self.hidden * (norms_per_layer * self.layers + 1)
        head_norms = self.layers * 2 * self.head_dim if self.qk_norm else 0
        biases = self.layers * (
            self.qkv_bias * self.qkv_rows
            + self.output_bias * self.hidden
            + self.mlp_bias * (self.gate_up_rows + self.hidden)
        )
        return self.linear_parameters + embeddings + positions + norms + head_norms + biases

    def window_of(self, layer: int) -> int | None:
        """How many tokens a query of `layer` sees, itself included; `None` is all of them."""
        return self.sliding_window if layer in self.sliding_layers else None
