"""A plausible shape for a bare parameter count."""

from .field_errors import FieldError, positive_number
from .model_shape import ModelShape

_HEAD_DIM = 128
_VOCABULARY = 65_536
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


def shape_from_parameters(parameters: float) -> ModelShape:
    """A Llama-like shape of about `parameters` parameters (within 4 % from 1e8 on).

    Depth follows published models of that size; the hidden size is a multiple of 128 and the MLP's
    width, a multiple of 256, takes up what is left. Grouped queries, eight key-value heads at most.

    Raises:
        FieldError: below 1e6 or above 1e14 parameters.
    """
    target = positive_number("parameters", parameters)
    if not 1e6 <= target <= 1e14:
        raise FieldError("parameters", "must lie between 1e6 and 1e14")
    layers = next((depth for size, depth in _DEPTHS if target <= size), _DEEPEST)
    vocabulary = _VOCABULARY if target >= 3e8 else 32_768 if target >= 5e7 else 1024
    tied = target < 3e9
    best: ModelShape | None = None
    guess = (target / (12.5 * layers)) ** 0.5
    for steps in range(-6, 3):
        hidden = max(_HEAD_DIM, round(guess / _HEAD_DIM + steps) * _HEAD_DIM)
        candidate = _fill(target, layers, hidden, vocabulary, tied)
        if best is None or _distance(candidate, target) < _distance(best, target):
            best = candidate
    assert best is not None
    return best


def _distance(shape: ModelShape, target: float) -> float:
    """How far a shape is from its count, and its MLP from the usual 3.5 times the hidden size."""
    count = abs(shape.parameters / target - 1)
    return count + 0.02 * abs(shape.intermediate / shape.hidden - 3.5)


def _fill(target: float, layers: int, hidden: int, vocabulary: int, tied: bool) -> ModelShape:
    heads = hidden // _HEAD_DIM
    kv_heads = next(k for k in (8, 4, 2, 1) if heads % k == 0)

    def build(intermediate: int) -> ModelShape:
        return ModelShape(
            name=f"derived-{target / 1e9:.3g}b",
            layers=layers,
            hidden=hidden,
            heads=heads,
            kv_heads=kv_heads,
            head_dim=_HEAD_DIM,
            intermediate=intermediate,
            vocabulary=vocabulary,
            tied_embeddings=tied,
        )

    rest = target - build(256).parameters
    return build(256 * max(1, 1 + round(rest / (layers * 3 * hidden * 256))))
