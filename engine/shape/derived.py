"""A plausible shape for a bare parameter count."""

import math
from functools import lru_cache

from .field_errors import FieldError, positive_number
from .model_shape import ModelShape

_HEADS = 8
"""Query heads come in multiples of this, so that a whole node's tensor ranks divide them."""
_HEAD_DIMS = ((5e6, 16), (3e7, 32), (3e8, 64))
_WIDEST_HEAD = 128
_VOCABULARIES = ((5e7, 1024), (3e8, 32_768))
_LARGEST_VOCABULARY = 65_536
"""All are padded already: multiples of 128 times any number of tensor ranks up to 8."""
_DEPTHS = (
    (0.2e9, 12),
    (0.6e9, 20),
    (2e9, 24),
    (5e9, 28),
    (10e9, 32),
    (20e9, 40),
    (40e9, 60),
    (100e9, 80),
    (250e9, 96),
)
"""Depth of published models of about that size: GPT-3 table 2.1, Llama 2 and 3, Qwen 2.5."""
_DEEPEST = 128
_DEPTH_STEP = 4
"""Depths are multiples of this, so that pipelines divide them."""
_TIED_BELOW = 3e9


def shape_from_parameters(parameters: float) -> ModelShape:
    """A Llama-like shape of about `parameters` parameters (within 4 % from 1e7 on).

    Heads of 128 features (fewer below 3e8 parameters) in multiples of eight, of which eight keys
    and values; a depth that pipelines divide, near that of published models of the size; the MLP's
    width, a multiple of a quarter of the hidden size up to 256, takes up what is left.

    Raises:
        FieldError: below 1e6 or above 1e14 parameters.
    """
    target = positive_number("parameters", parameters)
    if not 1e6 <= target <= 1e14:
        raise FieldError("parameters", "must lie between 1e6 and 1e14")
    return _derive(target)


@lru_cache(maxsize=64)
def _derive(target: float) -> ModelShape:
    usual = _of_size(target, _DEPTHS, _DEEPEST)
    head_dim = _of_size(target, _HEAD_DIMS, _WIDEST_HEAD)
    step = _HEADS * head_dim
    shapes = [
        _fill(target, layers, heads, head_dim)
        for layers in range(_DEPTH_STEP, 2 * usual + 1, _DEPTH_STEP)
        for steps in (-1, 0, 1)
        if (heads := _HEADS * (steps + int((target / (12.5 * layers)) ** 0.5 / step))) > 0
    ]
    return min(shapes, key=lambda shape: _distance(shape, target, usual))


def _of_size(target: float, table: tuple[tuple[float, int], ...], largest: int) -> int:
    return next((value for size, value in table if target <= size), largest)


def _distance(shape: ModelShape, target: float, usual: int) -> float:
    """How far a shape is from its count, from the usual depth and from an MLP of the usual 3.3
    times the hidden size; twice as deep or wide weighs as much as 6 % of the count."""
    wide = abs(math.log2(shape.intermediate / shape.hidden / 3.3))
    deep = abs(math.log2(shape.layers / usual))
    return abs(shape.parameters / target - 1) + 0.06 * (wide + deep)


def _fill(target: float, layers: int, heads: int, head_dim: int) -> ModelShape:
    hidden = heads * head_dim
    step = min(256, hidden // 4)

    def build(intermediate: int) -> ModelShape:
        return ModelShape(
            name=f"derived-{target / 1e9:.3g}b",
            layers=layers,
            hidden=hidden,
            heads=heads,
            kv_heads=_HEADS,
            head_dim=head_dim,
            intermediate=intermediate,
            vocabulary=_of_size(target, _VOCABULARIES, _LARGEST_VOCABULARY),
            tied_embeddings=target < _TIED_BELOW,
        )

    rest = target - build(step).parameters
    return build(step * max(1, 1 + round(rest / (layers * 3 * hidden * step))))
