"""The names of the strategies and of the precisions."""

from enum import StrEnum


class StrategyName(StrEnum):
    """The serving strategies, in the order of their keys 1 … 6."""

    SINGLE = "single"
    BATCHED = "batched"
    CONTINUOUS = "continuous"
    CACHED = "cached"
    STREAMING = "streaming"
    HYBRID = "hybrid"


class PrecisionName(StrEnum):
    """The precisions, in the order in which `[` and `]` walk through them."""

    FP32 = "fp32"
    BF16 = "bf16"
    FP16 = "fp16"
    INT8 = "int8"
    INT4 = "int4"
    FP8 = "fp8"
