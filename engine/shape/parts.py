"""The parts that a model's shape is made of: scalings of positions, experts, stored forms."""

from dataclasses import dataclass
from enum import StrEnum

from msgspec import Struct

from .field_errors import FieldError, positive


class Activation(StrEnum):
    """What an MLP's gate goes through: SiLU, or GELU exactly or through its tanh approximation."""

    SILU = "silu"
    GELU = "gelu"
    GELU_TANH = "gelu_tanh"


# Structs with tags, so that a message says which of the four a model has.
class LinearScaling(Struct, frozen=True, tag="linear"):
    """Positions divided by `factor` (Chen et al. 2023)."""

    factor: float


class Llama3Scaling(Struct, frozen=True, tag="llama3"):
    """Llama 3's frequency scaling (Dubey et al. 2024, as in transformers' `llama3` rope type)."""

    factor: float
    low_freq_factor: float
    high_freq_factor: float
    original_context_tokens: int


class YarnScaling(Struct, frozen=True, tag="yarn"):
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


class LongRopeScaling(Struct, frozen=True, tag="longrope"):
    """LongRoPE (Ding et al. 2024): a divisor a frequency, `long` ones beyond the original context.

    Queries and keys are multiplied by `attention_factor`.
    """

    short_factors: tuple[float, ...]
    long_factors: tuple[float, ...]
    original_context_tokens: int
    attention_factor: float


RopeScaling = LinearScaling | Llama3Scaling | YarnScaling | LongRopeScaling


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
    """A mixture of experts in every MLP but `dense_layers`, the first ones unless `interleaved`.

    `intermediate` is the inner width of one routed expert, `shared_intermediate` that of all shared
    experts together, 0 for none. `shared_gate`: a learned gate `[hidden]` on the shared experts.
    `width`: routed experts work on a projection of the hidden state that is this wide, 0 for none.
    """

    count: int
    active: int
    intermediate: int
    shared_intermediate: int = 0
    dense_layers: int = 0
    router_bias: bool = False
    shared_gate: bool = False
    interleaved: bool = False
    width: int = 0

    def __post_init__(self) -> None:
        positive("experts", self.count)
        positive("active experts", self.active)
        positive("expert intermediate", self.intermediate)
        if self.active > self.count:
            raise FieldError("active experts", "more experts active than there are")
        if self.dense_layers < 0:
            raise FieldError("dense layers", "must lie between 0 and the number of layers")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recurrence:
    """A mixer of tokens with a state of fixed size: state space, linear attention, convolution.

    `layers` have one, called `kind`. `gemms` are (inputs, outputs) of its projections, the last one
    back to the hidden size; `small` its other parameters. A sequence leaves `state` elements in
    each layer, however long it is: what is carried on, and the convolution's last inputs.
    """

    kind: str
    layers: int
    gemms: tuple[tuple[int, int], ...]
    small: int
    state: int

    @property
    def weights(self) -> int:
        """Weights of one layer's projections."""
        return sum(k * n for k, n in self.gemms)

    @property
    def width(self) -> int:
        """Features of a token between the projections: their outputs, and the last one's input."""
        return sum(n for _, n in self.gemms[:-1]) + self.gemms[-1][0]


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
    """Layers' weights stored in 4 bits, with a scale and a zero point for `group` inputs.

    `dense` are the projections that are not, as `layer.field` of the master copy's layers
    (`3.down`). `reordered`: the inputs' groups are a tensor of their own (`desc_act`).
    """

    method: Int4Method
    group: int
    dense: frozenset[str] = frozenset()
    reordered: bool = False


@dataclass(frozen=True, slots=True)
class StoredForm:
    """How a checkpoint writes down the weights: nothing that the decoder needs to know.

    `offset_norms`: norm weights are stored less 1 (Gemma).
    """

    names: TensorNames = TensorNames.LLAMA
    offset_norms: bool = False
    int4: Int4Form | None = None


PLAIN_FORM = StoredForm()
