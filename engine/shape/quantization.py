"""The `quantization_config` of a checkpoint that stores its layers in 4 bits: GPTQ or AWQ."""

from ..files.json_fields import Fields
from .parts import Int4Form, Int4Method

GROUP_SIZES = (32, 64, 128)


_RULE_EXCLUDES = "-:"
"""What the patterns of GPTQ's `dynamic` begin with that leave layers as they are."""


def read_int4_form(settings: Fields) -> Int4Form | None:
    """How the weights are packed; `None` for a checkpoint that is not quantized.

    Which layers are left out (`modules_to_not_convert`, `modules_in_block_to_quantize`, the rules
    of `dynamic` that exclude) is seen from the tensors, and read here for its type alone.

    Raises:
        CheckpointError: a method, a number of bits or a group size that cannot be served as it is,
            or a rule that gives some layers another.
    """
    if not settings:
        return None
    form = Int4Form(_method(settings), _group(settings), reordered=settings.flag("desc_act"))
    bits = settings.count("bits")
    if bits != 4:
        raise settings.error(f"weights of {bits} bits are not supported (4 are)")
    settings.texts("modules_to_not_convert")
    rules = settings.table("dynamic")
    for pattern in rules.names():
        if not pattern.startswith(_RULE_EXCLUDES):
            _check_rule(rules, pattern, form)
    return form


def _check_rule(rules: Fields, pattern: str, form: Int4Form) -> None:
    """Refuse a rule of `dynamic` that packs the layers of `pattern` otherwise than the rest."""
    rule = rules.table(pattern)
    for setting, wanted in {"bits": 4, "group_size": form.group}.items():
        stated = rule.number(setting, wanted)
        if stated != wanted:
            raise rules.error(
                f"`dynamic`: {pattern[:60]!r} packs layers with `{setting}` {stated:g} beside "
                f"others with {wanted}, which is not supported"
            )


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
    if not name and (settings.flag("load_in_4bit") or settings.flag("load_in_8bit")):
        name = "bitsandbytes"
    raise settings.error(f"quantization {name!r} is not supported (gptq and awq are)")


def _group(settings: Fields) -> int:
    group = settings.number("group_size", 128)
    if group not in GROUP_SIZES:
        raise settings.error(f"a group size of {group:g} is not supported (32, 64 and 128 are)")
    return int(group)
