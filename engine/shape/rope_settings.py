"""Rotary settings of a `config.json`: transformers 5's nested table, or the flat fields before."""

import math
from dataclasses import replace

from ..files.json_fields import Fields
from .model_shape import ModelShape
from .parts import (
    LinearScaling,
    Llama3Scaling,
    LongRopeScaling,
    RopeScaling,
    TensorNames,
    YarnScaling,
)

_KNOWN_TYPES = "default, linear, llama3, yarn, longrope"


def read_rope(config: ModelShape, fields: Fields) -> ModelShape:
    """`config` with its rotary base, scaling, width, and the context that a scaling allows."""
    settings = fields.table("rope_parameters") or fields.table("rope_scaling")
    theta = _number(settings, fields, "rope_theta", 10_000.0)
    share = _number(settings, fields, "partial_rotary_factor", 1.0)
    partial = config.stored.names is TensorNames.PHI3 and share != 1.0
    rotary_dim = int(config.head_dim * share) if partial else None
    if rotary_dim is not None and not (0 < rotary_dim <= config.head_dim and rotary_dim % 2 == 0):
        raise fields.error(f"`partial_rotary_factor` {share:g} leaves no even rotary dimensions")
    config = replace(config, rope_theta=theta, rotary_dim=rotary_dim)
    scaling = _scaling(settings, fields, config)
    context = config.context_tokens
    if isinstance(scaling, YarnScaling):
        # Qwen states the length before the scaling.
        context = max(context, round(scaling.factor * scaling.original_context_tokens))
    return replace(config, rope_scaling=scaling, context_tokens=context)


def read_dual_rope(config: ModelShape, fields: Fields) -> ModelShape:
    """Gemma 3: sliding layers have a rotary base of their own, which no scaling stretches."""
    nested = fields.table("rope_parameters")
    settings = nested.table("full_attention") if nested else fields.table("rope_scaling")
    local = nested.table("sliding_attention")
    if local.text("rope_type", "default") != "default":
        raise fields.error("a rope scaling of sliding layers is not supported")
    theta = _number(settings, fields, "rope_theta", 1_000_000.0)
    local_theta = local.positive("rope_theta", fields.number("rope_local_base_freq", 10_000.0))
    config = replace(config, rope_theta=theta, local_rope_theta=local_theta)
    return replace(config, rope_scaling=_scaling(settings, fields, config))


def _number(settings: Fields, fields: Fields, name: str, default: float) -> float:
    return settings.positive(name) if settings.has(name) else fields.positive(name, default)


def _scaling(settings: Fields, fields: Fields, config: ModelShape) -> RopeScaling | None:
    kind = settings.text("rope_type", settings.text("type", "default"))
    if config.stored.names is TensorNames.PHI3 and kind in ("su", "yarn"):
        kind = "longrope"  # What Phi-3's first releases called it.
    match kind:
        case "default":
            return None
        case "linear":
            return LinearScaling(settings.positive("factor"))
        case "llama3":
            return Llama3Scaling(
                factor=settings.positive("factor"),
                low_freq_factor=settings.positive("low_freq_factor"),
                high_freq_factor=settings.positive("high_freq_factor"),
                original_context_tokens=_original_context(settings, fields, config),
            )
        case "yarn":
            return _yarn(settings, fields, config)
        case "longrope":
            return _longrope(settings, fields, config)
    raise fields.error(f"rope type {kind!r} is not supported (supported: {_KNOWN_TYPES})")


def _original_context(settings: Fields, fields: Fields, config: ModelShape) -> int:
    name = "original_max_position_embeddings"
    return settings.count(name, fields.count(name, config.context_tokens))


def _yarn(settings: Fields, fields: Fields, config: ModelShape) -> YarnScaling:
    original = _original_context(settings, fields, config)
    factor = settings.positive("factor", max(1.0, config.context_tokens / original))
    if settings.has("attention_factor"):
        attention_factor = settings.positive("attention_factor")
    elif settings.has("mscale") and settings.has("mscale_all_dim"):
        attention_factor = _magnitude(factor, settings.positive("mscale")) / _magnitude(
            factor, settings.positive("mscale_all_dim")
        )
    else:
        attention_factor = _magnitude(factor, 1.0)
    return YarnScaling(
        factor=factor,
        original_context_tokens=original,
        attention_factor=attention_factor,
        beta_fast=settings.positive("beta_fast", 32.0),
        beta_slow=settings.positive("beta_slow", 1.0),
        truncate=settings.flag("truncate", True),
    )


def _magnitude(factor: float, share: float) -> float:
    """YaRN's growth of the attention's magnitude with the length (its section 3.4)."""
    return 0.1 * share * math.log(factor) + 1.0 if factor > 1 else 1.0


def _longrope(settings: Fields, fields: Fields, config: ModelShape) -> LongRopeScaling:
    # Phi-3 states the length before the scaling outside the table, and that one counts.
    name = "original_max_position_embeddings"
    original = fields.count(name) if fields.has(name) else settings.count(name)
    frequencies = (config.rotary_dim or config.head_dim) // 2
    short, long = settings.numbers("short_factor"), settings.numbers("long_factor")
    if len(short) != frequencies or len(long) != frequencies:
        raise fields.error(f"`short_factor` and `long_factor` must have {frequencies} numbers")
    factor = settings.positive("factor", config.context_tokens / original)
    grown = math.sqrt(1 + math.log(factor) / math.log(original)) if factor > 1 else 1.0
    return LongRopeScaling(
        short_factors=short,
        long_factors=long,
        original_context_tokens=original,
        attention_factor=settings.positive("attention_factor", grown),
    )
