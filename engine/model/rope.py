"""Rotary position embedding (Su et al. 2021), half-rotated as Hugging Face checkpoints want it."""

import math

import torch
from torch import Tensor

from .config import ModelConfig, RopeScaling


def inverse_frequencies(config: ModelConfig) -> Tensor:
    """fp32 `[head_dim / 2]`, with Llama 3's scaling where the model asks for it."""
    exponents = torch.arange(0, config.head_dim, 2, dtype=torch.int64).float() / config.head_dim
    frequencies = 1.0 / (config.rope_theta**exponents)
    if config.rope_scaling is None:
        return frequencies
    return _scale(frequencies, config.rope_scaling)


def _scale(frequencies: Tensor, scaling: RopeScaling) -> Tensor:
    """Stretch long wavelengths by `factor`, keep short ones, and blend between the two."""
    wavelengths = 2 * math.pi / frequencies
    longest = scaling.original_context_tokens / scaling.low_freq_factor
    shortest = scaling.original_context_tokens / scaling.high_freq_factor
    span = scaling.high_freq_factor - scaling.low_freq_factor
    share = (scaling.original_context_tokens / wavelengths - scaling.low_freq_factor) / span
    blended = (1 - share) * frequencies / scaling.factor + share * frequencies
    scaled = torch.where(wavelengths > longest, frequencies / scaling.factor, frequencies)
    between = (wavelengths <= longest) & (wavelengths >= shortest)
    return torch.where(between, blended, scaled)


class RotaryTable:
    """Cosines and sines for every position, laid out for the fused `[query, key, value]` rows.

    The value heads get cosine 1 and sine 0, so that one multiplication over the fused projection
    turns queries and keys and passes values through: key and value then leave it side by side, as
    the KV cache stores them.
    """

    def __init__(
        self, config: ModelConfig, positions: int, device: torch.device, dtype: torch.dtype
    ) -> None:
        angles = torch.outer(torch.arange(positions).float(), inverse_frequencies(config))
        cos = torch.cat((angles.cos(), angles.cos()), dim=-1)
        # `roll` by half a head brings (x2, x1); the rotation wants (-x2, x1).
        sin = torch.cat((-angles.sin(), angles.sin()), dim=-1)
        turned, kept = config.heads + config.kv_heads, config.kv_heads
        self._turned, self._kept = turned, kept
        self._cos = cos.to(device, dtype)
        self._sin = sin.to(device, dtype)

    def at(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Cosine and sine for a step's rows: each `[rows, heads + 2 kv_heads, head_dim]`."""
        cos = self._cos.index_select(0, positions).unsqueeze(1)
        sin = self._sin.index_select(0, positions).unsqueeze(1)
        rows, _, width = cos.shape
        ones = cos.new_ones(1).expand(rows, self._kept, width)
        zeros = sin.new_zeros(1).expand(rows, self._kept, width)
        return (
            torch.cat((cos.expand(-1, self._turned, -1), ones), dim=1),
            torch.cat((sin.expand(-1, self._turned, -1), zeros), dim=1),
        )

    @staticmethod
    def rotate(qkv: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """Turn the query and key heads of `qkv [rows, heads + 2 kv_heads, head_dim]`."""
        return torch.addcmul(qkv * cos, torch.roll(qkv, qkv.shape[-1] // 2, dims=-1), sin)
