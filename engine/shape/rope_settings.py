"""Rotary settings of a `config.json`: transformers 5's nested table, or the flat fields before."""

import math
from dataclasses import replace

from ..files.json_fields import Fields
from ..protocol.wording import counted
from .model_shape import ModelShape
from .parts import (
    LinearScaling,
    Llama3Scaling,
    LongRopeScaling,
    RopeScaling,
    TensorNames,
    YarnScaling,
)

_KNOWN_TYPES = "default, linear, dynamic, llama3, yarn, longrope"

_COMMON_SETTINGS = {"rope_type", "type", "rope_theta", "partial_rotary_factor"}
_ORIGINAL = "original_max_position_embeddings"
_SETTINGS = {
    "default": set[str](),
    "linear": {"factor"},
    "dynamic": {"factor"},
    "llama3": {"factor", "low_freq_factor", "high_freq_factor", _ORIGINAL},
    "yarn": {
        *("factor", "attention_factor", "mscale", "mscale_all_dim", "beta_fast", "beta_slow"),
        *("truncate", _ORIGINAL),
    },
    "longrope": {"factor", "attention_factor", "short_factor", "long_factor", _ORIGINAL},
}
"""The settings that each type reads, beside the common ones."""


def read_rope(config: ModelShape, fields: Fields) -> ModelShape:
    """`config` with its rotary base, scaling, width, and the context that a scaling allows.

    As in transformers `rope_scaling` counts where both tables are there. Settings that are not used
    become notes of the shape. Raises `CheckpointError` for a scaling that is not computed.
    """
    settings = fields.table("rope_scaling") or fields.table("rope_parameters")
    for name in settings.names():
        if isinstance(settings.get(name), dict):
            raise fields.error(f"rotary settings by kind of layer ({name!r}) are not supported")
    theta = _number(settings, fields, "rope_theta", 10_000.0)
    config = replace(config, rope_theta=theta)
    config = replace(config, rotary_dim=_rotary_dim(settings, fields, config))
    scaling = _scaling(settings, fields, config)
    context = config.context_tokens
    if isinstance(scaling, YarnScaling):
        # Qwen states the length before the scaling.
        context = max(context, round(scaling.factor * scaling.original_context_tokens))
    config = _with_notes(config, settings, fields)
    return replace(config, rope_scaling=scaling, context_tokens=context)


def _rotary_dim(settings: Fields, fields: Fields, config: ModelShape) -> int | None:
    """How many dimensions of a head turn, where `partial_rotary_factor` counts: in Phi 3.

    The other architectures here pass over it, and a scaling then fits no head.
    """
    share = _number(settings, fields, "partial_rotary_factor", 1.0)
    if share == 1.0:
        return None
    if config.stored.names is not TensorNames.PHI3:
        if _kind(settings, config) != "default":
            raise fields.error(
                f"`partial_rotary_factor` {share:g} is not supported beside a scaling"
            )
        return None
    rotary_dim = int(config.head_dim * share)
    if not (0 < rotary_dim <= config.head_dim and rotary_dim % 2 == 0):
        raise fields.error(f"`partial_rotary_factor` {share:g} leaves no even rotary dimensions")
    return rotary_dim


def read_dual_rope(config: ModelShape, fields: Fields) -> ModelShape:
    """Gemma 3: sliding layers have a rotary base of their own, which no scaling stretches.

    Raises `CheckpointError` for settings that state neither.
    """
    nested = fields.table("rope_parameters")
    if nested and not (nested.has("full_attention") or nested.has("sliding_attention")):
        raise fields.error("`rope_parameters` must state `full_attention` and `sliding_attention`")
    # As in transformers the older table, where it is there, goes over the newer one.
    settings = nested.table("full_attention").updated(fields.table("rope_scaling"))
    local = nested.table("sliding_attention")
    if local.text("rope_type", "default") != "default":
        raise fields.error("a rope scaling of sliding layers is not supported")
    theta = _number(settings, fields, "rope_theta", 1_000_000.0)
    local_theta = local.positive("rope_theta", fields.number("rope_local_base_freq", 10_000.0))
    config = replace(config, rope_theta=theta, local_rope_theta=local_theta)
    scaling = _scaling(settings, fields, config)
    return replace(_with_notes(config, settings, fields), rope_scaling=scaling)


def _with_notes(config: ModelShape, settings: Fields, fields: Fields) -> ModelShape:
    """`config` with a note of the rotary settings that are not used."""
    kind = _kind(settings, config)
    used = _COMMON_SETTINGS | _SETTINGS.get(kind, set())
    notes = [
        f"not used: the rotary setting {name[:40]!r}, which the type {kind!r} does not have"
        for name in settings.names()
        if name not in used and settings.has(name)
    ]
    if config.stored.names is not TensorNames.PHI3 and (
        _number(settings, fields, "partial_rotary_factor", 1.0) != 1.0
    ):
        notes.append("not used: `partial_rotary_factor`, which this architecture does not have")
    if kind == "dynamic":
        notes.append(
            f"dynamic rotary scaling begins beyond {counted(config.context_tokens, 'token')},"
            " which is as far as this model is served"
        )
    return replace(config, notes=(*config.notes, *notes))


def _number(settings: Fields, fields: Fields, name: str, default: float) -> float:
    return settings.positive(name) if settings.has(name) else fields.positive(name, default)


def _kind(settings: Fields, config: ModelShape) -> str:
    kind = settings.text("rope_type", settings.text("type", "default"))
    # What Phi-3's first releases called it.
    old = config.stored.names is TensorNames.PHI3 and kind in ("su", "yarn")
    return "longrope" if old else kind


def _scaling(settings: Fields, fields: Fields, config: ModelShape) -> RopeScaling | None:
    kind = _kind(settings, config)
    match kind:
        case "default":
            return None
        case "dynamic":
            # Up to `max_position_embeddings` it is none.
            settings.positive("factor")
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
    """Outside the table it counts before the one inside (Phi 3)."""
    if fields.has(_ORIGINAL):
        return fields.count(_ORIGINAL)
    return settings.count(_ORIGINAL, config.context_tokens)


def _yarn(settings: Fields, fields: Fields, config: ModelShape) -> YarnScaling:
    original = _original_context(settings, fields, config)
    factor = settings.positive("factor", max(1.0, config.context_tokens / original))
    if settings.has("attention_factor"):
        attention_factor = settings.positive("attention_factor")
    else:
        share, all_share = settings.number("mscale", 0.0), settings.number("mscale_all_dim", 0.0)
        if share and all_share:
            attention_factor = _magnitude(factor, share) / _magnitude(factor, all_share)
        else:
            attention_factor = _magnitude(factor, 1.0)
    return YarnScaling(
        factor=factor,
        original_context_tokens=original,
        attention_factor=attention_factor,
        beta_fast=settings.number("beta_fast", 0.0) or 32.0,
        beta_slow=settings.number("beta_slow", 0.0) or 1.0,
        truncate=settings.flag("truncate", True),
    )


def _magnitude(factor: float, share: float) -> float:
    """YaRN's growth of the attention's magnitude with the length (its section 3.4)."""
    return 0.1 * share * math.log(factor) + 1.0 if factor > 1 else 1.0


def _longrope(settings: Fields, fields: Fields, config: ModelShape) -> LongRopeScaling:
    original = _original_context(settings, fields, config)
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
