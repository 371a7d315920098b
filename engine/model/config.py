"""A model's shape, read from a Hugging Face `config.json`.

One frozen record for every architecture that the decoder serves. An architecture is a set of flags
here, not a class of its own.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from ..errors import CheckpointError

SUPPORTED_ARCHITECTURES = frozenset({"LlamaForCausalLM"})
_LARGEST_NUMBER = 2.0**53
"""Up to here every integer is exact as a float."""


class Activation(StrEnum):
    """What an MLP's gate goes through: SiLU, or GELU exactly or through its tanh approximation."""

    SILU = "silu"
    GELU = "gelu"
    GELU_TANH = "gelu_tanh"


@dataclass(frozen=True, slots=True)
class RopeScaling:
    """Llama 3's frequency scaling (Dubey et al. 2024, as in transformers' `llama3` rope type)."""

    factor: float
    low_freq_factor: float
    high_freq_factor: float
    original_context_tokens: int


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """The shape of a decoder-only transformer with rotary positions and gated MLP.

    `heads` query heads share `kv_heads` key-value heads (grouped-query attention).
    """

    vocabulary: int
    hidden: int
    intermediate: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    context_tokens: int
    rms_norm_eps: float = 1e-5
    rope_theta: float = 10_000.0
    rope_scaling: RopeScaling | None = None
    qkv_bias: bool = False
    output_bias: bool = False
    mlp_bias: bool = False
    tied_embeddings: bool = False
    eos_token_ids: frozenset[int] = frozenset()

    @property
    def qkv_rows(self) -> int:
        """Output features of the fused query, key and value projection."""
        return (self.heads + 2 * self.kv_heads) * self.head_dim

    @property
    def kv_elements_per_token(self) -> int:
        """Elements of keys and values that one token leaves in the cache, over all layers."""
        return self.layers * 2 * self.kv_heads * self.head_dim

    @property
    def linear_parameters(self) -> int:
        """Weights of the projections inside the layers: what a precision level packs."""
        attention = self.hidden * self.qkv_rows + self.heads * self.head_dim * self.hidden
        return self.layers * (attention + 3 * self.hidden * self.intermediate)

    @property
    def parameters(self) -> int:
        """All parameters, a tied embedding counted once."""
        embeddings = self.vocabulary * self.hidden * (1 if self.tied_embeddings else 2)
        norms = self.hidden * (2 * self.layers + 1)
        biases = self.layers * (
            self.qkv_bias * self.qkv_rows
            + self.output_bias * self.hidden
            + self.mlp_bias * (2 * self.intermediate + self.hidden)
        )
        return self.linear_parameters + embeddings + norms + biases


class _Fields:
    """Typed access to a `config.json`, with errors that name the file and the field."""

    def __init__(self, values: Mapping[str, object], source: str) -> None:
        self._values = values
        self._source = source

    def number(self, name: str, default: float | None = None) -> float:
        value = self._values.get(name)
        if value is None:
            value = default
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise CheckpointError(f"{self._source}: `{name}` must be a number, found {value!r}")
        if not abs(value) < _LARGEST_NUMBER:
            raise CheckpointError(f"{self._source}: `{name}` is too large or not finite")
        return float(value)

    def count(self, name: str, default: int | None = None) -> int:
        value = self.number(name, default)
        if value < 1 or value != int(value):
            raise CheckpointError(f"{self._source}: `{name}` must be a positive integer")
        return int(value)

    def flag(self, name: str, default: bool = False) -> bool:
        value = self._values.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise CheckpointError(
                f"{self._source}: `{name}` must be true or false, found {value!r}"
            )
        return value

    def table(self, name: str) -> Mapping[str, object]:
        value = self._values.get(name) or {}
        if not isinstance(value, dict):
            raise CheckpointError(f"{self._source}: `{name}` must be a table")
        return value

    def has(self, name: str) -> bool:
        return self._values.get(name) is not None


def read_json(path: Path) -> dict[str, object]:
    """Read a JSON object from `path`; raises `CheckpointError` where it is none."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(f"{path.parent} has no {path.name}: not a model folder") from None
    # Beside malformed text: numbers of too many digits, and lists nested too deeply.
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: cannot be read: {error}") from error
    if not isinstance(value, dict):
        raise CheckpointError(f"{path}: must hold a JSON object")
    return value


def load_config(path: Path) -> ModelConfig:
    """Read the shape from `config.json` at `path`, and the stop tokens from beside it."""
    values = read_json(path)
    config = parse_config(values, str(path))
    generation = path.with_name("generation_config.json")
    stops = set(_token_ids(values.get("eos_token_id"), str(path)))
    if generation.is_file():
        stops |= set(_token_ids(read_json(generation).get("eos_token_id"), str(generation)))
    return replace(config, eos_token_ids=frozenset(stops))


def parse_config(values: Mapping[str, object], source: str) -> ModelConfig:
    """Turn the fields of a `config.json` into a `ModelConfig`; `source` names it in errors."""
    _check_architecture(values, source)
    fields = _Fields(values, source)
    hidden = fields.count("hidden_size")
    heads = fields.count("num_attention_heads")
    kv_heads = fields.count("num_key_value_heads", heads)
    if heads % kv_heads:
        raise CheckpointError(f"{source}: {heads} heads cannot share {kv_heads} key-value heads")
    head_dim = fields.count("head_dim", hidden // heads)
    if head_dim % 2:
        raise CheckpointError(
            f"{source}: `head_dim` is {head_dim}; rotary positions need an even one"
        )
    theta, scaling = _rope(fields, source)
    return ModelConfig(
        vocabulary=fields.count("vocab_size"),
        hidden=hidden,
        intermediate=fields.count("intermediate_size"),
        layers=fields.count("num_hidden_layers"),
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        context_tokens=fields.count("max_position_embeddings", 2048),
        rms_norm_eps=fields.number("rms_norm_eps", 1e-6),
        rope_theta=theta,
        rope_scaling=scaling,
        qkv_bias=fields.flag("attention_bias"),
        output_bias=fields.flag("attention_bias"),
        mlp_bias=fields.flag("mlp_bias"),
        tied_embeddings=fields.flag("tie_word_embeddings"),
        eos_token_ids=frozenset(_token_ids(values.get("eos_token_id"), source)),
    )


def _check_architecture(values: Mapping[str, object], source: str) -> None:
    if values.get("auto_map"):
        raise CheckpointError(f"{source}: the model needs its own code (`auto_map`): refused")
    names = values.get("architectures")
    if not isinstance(names, list) or not names:
        raise CheckpointError(f"{source}: `architectures` is missing")
    if not SUPPORTED_ARCHITECTURES.intersection(map(str, names)):
        known = ", ".join(sorted(SUPPORTED_ARCHITECTURES))
        raise CheckpointError(f"{source}: architecture {names[0]!r} is not supported ({known} is)")
    activation = values.get("hidden_act", "silu")
    if activation != "silu":
        raise CheckpointError(f"{source}: activation {activation!r} is not supported (silu is)")


def _rope(fields: _Fields, source: str) -> tuple[float, RopeScaling | None]:
    """Rotary base and scaling, from transformers 5's nested table or the flat fields before it."""
    nested = fields.table("rope_parameters")
    settings = _Fields(nested or fields.table("rope_scaling"), source)
    theta = (
        settings.number("rope_theta")
        if settings.has("rope_theta")
        else fields.number("rope_theta", 10_000.0)
    )
    table = nested or fields.table("rope_scaling")
    kind = table.get("rope_type", table.get("type", "default"))
    if kind == "default":
        return theta, None
    if kind != "llama3":
        raise CheckpointError(f"{source}: rope type {kind!r} is not supported (llama3 is)")
    return theta, RopeScaling(
        factor=settings.number("factor"),
        low_freq_factor=settings.number("low_freq_factor"),
        high_freq_factor=settings.number("high_freq_factor"),
        original_context_tokens=settings.count("original_max_position_embeddings"),
    )


def _token_ids(value: object, source: str) -> list[int]:
    values: list[object] = value if isinstance(value, list) else [] if value is None else [value]
    ids = [item for item in values if isinstance(item, int)]
    if len(ids) != len(values):
        raise CheckpointError(f"{source}: `eos_token_id` must be a token id or a list of them")
    return ids
