"""Rotary position embedding (Su et al. 2021), half-rotated as Hugging Face checkpoints want it."""

import math
from dataclasses import replace

import torch
from torch import Tensor

from ..shape.model_shape import ModelShape
from ..shape.parts import LinearScaling, Llama3Scaling, LongRopeScaling, RopeScaling, YarnScaling


def inverse_frequencies(config: ModelShape, positions: int | None = None) -> Tensor:
    """Radians a position for each pair of dimensions, fp32 `[head_dim / 2]`, scaled.

    `positions` is the length that will be served (`None`: the model's whole context), which
    LongRoPE looks at. Pairs that are not rotated have frequency 0.
    """
    width = config.rotary_dim or config.head_dim
    exponents = torch.arange(0, width, 2, dtype=torch.int64).float() / width
    powers = config.rope_theta**exponents
    longest = config.context_tokens if positions is None else positions
    frequencies = _scaled(config.rope_scaling, powers, config.rope_theta, longest)
    unrotated = (config.head_dim - width) // 2
    return torch.nn.functional.pad(frequencies, (0, unrotated)) if unrotated else frequencies


def local_rope_config(config: ModelShape) -> ModelShape:
    """`config` as the layers with a rotary base of their own see it (Gemma 3)."""
    theta = config.local_rope_theta or config.rope_theta
    return replace(config, rope_theta=theta, rope_scaling=None)


def _magnitude(scaling: RopeScaling | None) -> float:
    """What queries and keys are multiplied by as they are rotated."""
    if isinstance(scaling, YarnScaling | LongRopeScaling):
        return scaling.attention_factor
    return 1.0


def _scaled(scaling: RopeScaling | None, powers: Tensor, theta: float, positions: int) -> Tensor:
    """Frequencies from the powers of the base `[rotary_dim / 2]` that they are the inverse of."""
    match scaling:
        case None:
            return 1.0 / powers
        case LinearScaling():
            return 1.0 / powers / scaling.factor
        case Llama3Scaling():
            return _llama3(1.0 / powers, scaling)
        case YarnScaling():
            return _yarn(powers, scaling, theta)
        case LongRopeScaling():
            long = positions > scaling.original_context_tokens
            factors = scaling.long_factors if long else scaling.short_factors
            return 1.0 / (torch.tensor(factors) * powers)


def _llama3(frequencies: Tensor, scaling: Llama3Scaling) -> Tensor:
    """Stretch long wavelengths by `factor`, keep short ones, and blend between the two."""
    wavelengths = 2 * math.pi / frequencies
    longest = scaling.original_context_tokens / scaling.low_freq_factor
    shortest = scaling.original_context_tokens / scaling.high_freq_factor
    span = scaling.high_freq_factor - scaling.low_freq_factor
    unscaled = (scaling.original_context_tokens / wavelengths - scaling.low_freq_factor) / span
    blended = (1 - unscaled) * frequencies / scaling.factor + unscaled * frequencies
    scaled = torch.where(wavelengths > longest, frequencies / scaling.factor, frequencies)
    between = (wavelengths <= longest) & (wavelengths >= shortest)
    return torch.where(between, blended, scaled)


def _yarn(powers: Tensor, scaling: YarnScaling, theta: float) -> Tensor:
    """Blend unscaled and stretched frequencies by YaRN's ramp (its section 3.2)."""
    width = 2 * powers.numel()

    def dimension(rotations: float) -> float:
        """The dimension that rotates that many times within the original context."""
        ratio = scaling.original_context_tokens / (rotations * 2 * math.pi)
        return width * math.log(ratio) / (2 * math.log(theta))

    first, last = dimension(scaling.beta_fast), dimension(scaling.beta_slow)
    if scaling.truncate:
        first, last = math.floor(first), math.ceil(last)
    first, last = max(first, 0), min(last, width - 1)
    span = last - first if last != first else 0.001
    unscaled = 1 - ((torch.arange(width // 2).float() - first) / span).clamp(0, 1)
    return (1 / (scaling.factor * powers)) * (1 - unscaled) + (1 / powers) * unscaled


def rotation(config: ModelShape, positions: int) -> tuple[Tensor, Tensor]:
    """Cosines and sines of every position, times the scaling's magnitude where it has one.

    Each is fp32 `[positions, head_dim / 2]`.
    """
    frequencies = inverse_frequencies(config, positions)
    angles = torch.outer(torch.arange(positions).float(), frequencies)
    # Pairs that are not rotated keep their magnitude.
    growth = torch.where(frequencies > 0, _magnitude(config.rope_scaling), 1.0)
    return angles.cos() * growth, angles.sin() * growth


class RotaryTable:
    """Cosines and sines for every position, laid out for the fused `[query, key, value]` rows.

    The value heads get cosine 1 and sine 0, so that one multiplication over the fused projection
    rotates queries and keys and passes values through: key and value then leave it side by side, as
    the KV cache stores them.
    """

    def __init__(
        self, config: ModelShape, positions: int, device: torch.device, dtype: torch.dtype
    ) -> None:
        cos, sin = rotation(config, positions)
        self._rotated_heads = config.heads + config.kv_heads
        self._value_heads = config.kv_heads
        self._cos = torch.cat((cos, cos), dim=-1).to(device, dtype)
        # `roll` by half a head brings (x2, x1); the rotation wants (-x2, x1).
        self._sin = torch.cat((-sin, sin), dim=-1).to(device, dtype)

    def at(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Cosine and signed sine for the rows of `positions` `[rows]`.

        Each is `[rows, heads + 2 kv_heads, head_dim]`.
        """
        cos = self._cos.index_select(0, positions).unsqueeze(1)
        sin = self._sin.index_select(0, positions).unsqueeze(1)
        rows, _, width = cos.shape
        ones = cos.new_ones(1).expand(rows, self._value_heads, width)
        zeros = sin.new_zeros(1).expand(rows, self._value_heads, width)
        return (
            torch.cat((cos.expand(-1, self._rotated_heads, -1), ones), dim=1),
            torch.cat((sin.expand(-1, self._rotated_heads, -1), zeros), dim=1),
        )

    @staticmethod
    def rotate(qkv: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """Rotate the query and key heads of `qkv [rows, heads + 2 kv_heads, head_dim]`.

        `cos` and `sin` are those of `at`.
        """
        return torch.addcmul(qkv * cos, torch.roll(qkv, qkv.shape[-1] // 2, dims=-1), sin)
