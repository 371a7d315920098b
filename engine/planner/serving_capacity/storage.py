"""What each serving precision stores, moves and computes in."""

from dataclasses import dataclass
from typing import Literal, get_args

from ...protocol.wording import counted
from ...shape.field_errors import FieldError
from ...shape.model_shape import ModelShape
from ..cost.hardware import Gpu, Precision

ServingPrecision = Literal["fp32", "bf16", "fp16", "int8", "int4", "fp8", "mxfp4", "nvfp4"]
SERVING_PRECISIONS: tuple[ServingPrecision, ...] = get_args(ServingPrecision)

FOUR_BITS = ("int4", "mxfp4", "nvfp4")
INT4_GROUP = 64
"""Weights that share a scale and a zero point, 2 bytes each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """Bytes of one element of each kind, and the arithmetic of the large products.

    weight_bytes: a weight of the layers' matrices, scales included. base_bytes: embedding, head,
    norms and activations. kv_bytes: a key or value. converted: the kernel turns packed weights into
    the arithmetic's type on the way (weight-only quantization).
    """

    precision: ServingPrecision
    weight_bytes: float
    base_bytes: float
    kv_bytes: float
    arithmetic: Precision
    converted: bool = False

    @property
    def base_arithmetic(self) -> Precision:
        """What the head and attention compute in: the products' type, or bf16 beside fp8."""
        return "bf16" if self.arithmetic == "fp8" else self.arithmetic


def storage_of(precision: str, *, fp8_cache: bool = False, group: int = INT4_GROUP) -> Storage:
    """The storage of a precision by name; `fp8_cache` keeps keys and values in one byte.

    int8, int4, mxfp4 and nvfp4 are weight-only over bf16, the last two with a scale of a byte for
    32 and 16 weights (OCP MX 1.0; NVIDIA 2025); fp8 quantizes activations too. Embedding and head
    stay at 2 bytes in all of them. Scales of int8 and fp8, one a row, are left out: below 0.1 %.

    Raises:
        FieldError: no such precision, or a group that is no positive number.
    """
    if group < 1:
        raise FieldError("group", f"must be a positive whole number, found {group}")
    name = next((each for each in SERVING_PRECISIONS if each == precision), None)
    if name is None:
        known = ", ".join(SERVING_PRECISIONS)
        raise FieldError("precision", f"unknown precision {precision!r}; known are {known}")
    packed = {
        "int8": 1.0,
        "int4": 0.5 + 4.0 / group,
        "fp8": 1.0,
        "mxfp4": 0.5 + 1 / 32,
        "nvfp4": 0.5 + 1 / 16,
    }
    converted = name in ("int8", *FOUR_BITS)
    base = 4.0 if name == "fp32" else 2.0
    return Storage(
        precision=name,
        weight_bytes=packed.get(name, base),
        base_bytes=base,
        kv_bytes=1.0 if fp8_cache else base,
        arithmetic=_arithmetic(name),
        converted=converted,
    )


def _arithmetic(name: ServingPrecision) -> Precision:
    """What the large products of weights stored as `name` compute in."""
    if name == "fp32" or name == "fp16" or name == "fp8":
        return name
    return "bf16"


def check_split(model: ModelShape, gpu: Gpu, gpus: int, storage: Storage) -> None:
    """Raise `FieldError` where `gpus` of one node cannot share the model, or lack the precision."""
    if gpus > gpu.node_gpus:
        raise FieldError("gpus", f"tensor parallelism stays in a node of {gpu.node_gpus}")
    if model.heads % gpus:
        raise FieldError("gpus", f"{counted(model.heads, 'head')} cannot be split by {gpus}")
    if model.kv_heads % gpus and gpus % model.kv_heads:
        heads = counted(model.kv_heads, "key-value head")
        raise FieldError("gpus", f"{heads} cannot be split by {gpus}")
    ffn = model.intermediate if model.experts is None else model.experts.intermediate
    if ffn % gpus:
        raise FieldError("gpus", f"an MLP of {ffn} does not split by {gpus}")
    gpu.peak_flops(storage.arithmetic)
    if storage.arithmetic == "bf16" and gpu.bf16_flops < gpu.fp16_flops / 2:
        raise FieldError("precision", f"{gpu.name} has no bf16 tensor cores: choose fp16")


def cache_copies(model: ModelShape, gpus: int) -> float:
    """GPUs that hold the same keys and values: all under MLA, else those beyond the KV heads."""
    return float(gpus) if model.latent is not None else max(1.0, gpus / model.kv_heads)


def cached_tokens(model: ModelShape, context: float) -> float:
    """Tokens that an average layer keeps of a sequence of `context` tokens."""
    window = model.sliding_window
    if window is None or window >= context:
        return context * model.attention_share
    share = model.sliding_share
    return window * share + context * (model.attention_share - share)
