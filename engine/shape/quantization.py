"""The `quantization_config` of a checkpoint that stores its layers in 4 bits: GPTQ or AWQ."""

from ..files.json_fields import Fields
from .parts import Int4Form, Int4Method

GROUP_SIZES = (32, 64, 128)


def read_int4_form(settings: Fields) -> Int4Form | None:
    """How the weights are packed; `None` for a checkpoint that is not quantized.

    Raises `CheckpointError` for a method, a number of bits or a group size that cannot be served
    as it is.
    """
    if not settings:
        return None
    form = Int4Form(_method(settings), _group(settings))
    bits = settings.count("bits")
    if bits != 4:
        raise settings.error(f"weights of {bits} bits are not supported (4 are)")
    for name in ("modules_to_not_convert", "dynamic"):
        if settings.has(name) and settings.get(name):
            raise settings.error(f"`{name}`: layers that differ in bits are not supported")
    return form


def _method(settings: Fields) -> Int4Method:
    name = settings.text("quant_method", "")
    if name == "awq":
        version = settings.text("version", "gemm").lower()
        if version != "gemm":
            raise settings.error(f"AWQ's layout {version!r} is not supported (gemm is)")
        return Int4Method.AWQ
    if name == "gptq":
        written = settings.text("checkpoint_format", "gptq")
        if written not in ("gptq", "gptq_v2"):
            raise settings.error(f"GPTQ's layout {written!r} is not supported (gptq, gptq_v2 are)")
        return Int4Method(written)
    raise settings.error(f"quantization {name!r} is not supported (gptq and awq are)")


def _group(settings: Fields) -> int:
    group = settings.number("group_size", 128)
    if group not in GROUP_SIZES:
        raise settings.error(f"a group size of {group:g} is not supported (32, 64 and 128 are)")
    return int(group)
