"""Shapes made of others, and what makes two of them the same structure."""

from dataclasses import replace

from .model_shape import ModelShape


def same_structure(one: ModelShape, other: ModelShape) -> bool:
    """Whether both have the same layers: their positions, context and end tokens may differ."""
    return one == replace(
        other,
        context_tokens=one.context_tokens,
        norm_eps=one.norm_eps,
        rope_theta=one.rope_theta,
        rope_scaling=one.rope_scaling,
        eos_token_ids=one.eos_token_ids,
        stored=one.stored,
    )


def with_layers(shape: ModelShape, layers: int) -> ModelShape:
    """`shape` with another number of `layers`, its dense and sliding layers as far as they go.

    Raises:
        FieldError: `layers` is not positive.
    """
    experts = shape.experts
    if experts is not None and experts.dense_layers > layers:
        experts = replace(experts, dense_layers=layers)
    sliding = frozenset(layer for layer in shape.sliding_layers if layer < layers)
    return replace(shape, layers=layers, experts=experts, sliding_layers=sliding)
