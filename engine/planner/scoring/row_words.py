"""Precision and recomputation of a published run, in whatever words its source has."""

import re

from ..cost.hardware import Precision
from ..cost.layout import Recompute
from .cells import Cells


def stated_precision(cells: Cells, gpu: str) -> Precision:
    """The precision of a row on `gpu`; left open, fp16 before bf16 was usual, else bf16."""
    text = cells.text("precision").lower()
    if re.search(r"f(?:loat)?-?p?8|e4m3|nvfp4|mxfp4|fp4|hfp8", text):
        return "fp8"
    if re.search(r"bf-?16|bfloat-?16", text):
        return "bf16"
    if re.search(r"fp-?16|float-?16|half|^amp$|\bo2\b", text):
        return "fp16"
    if "tf32" in text:
        return "tf32"
    if re.search(r"fp-?32|float-?32|single", text):
        return "fp32"
    old = gpu.startswith("v100") or (not text and gpu.startswith("a100"))
    guess: Precision = "fp16" if old else "bf16"
    cells.assumed.append(f"precision = {guess}")
    return guess


_MODULES = ("core_attn", "mla_up_proj", "moe_act", "layernorm")
_WHOLE = r"full|\b(true|yes|on|1|all|always|block|uniform|every layer|each layer)\b"
_NEVER = r"\b(no|none|false|off|0|disabled|without)\b"


def stated_recompute(text: str) -> tuple[Recompute, tuple[str, ...]]:
    """What is computed again, and for selective recomputation which modules (see `Layout`)."""
    lower = text.lower()
    core = bool(re.search(r"core[ _-]att", lower))
    if not core and "selective" not in lower and not re.search(_NEVER, lower):
        # A checkpoint by any name is a whole layer's, unless it is said to be selective.
        return ("full" if re.search(_WHOLE + "|checkpoint", lower) else "none"), ()
    if "selective" not in lower and not core:
        return ("full" if re.search(r"(?<!no )(?<!not )(?<!without )full", lower) else "none"), ()
    modules = [module for module in _MODULES if module in lower]
    words = re.findall(r"\w+", lower)
    modules += [module for module in ("mlp", "moe") if module in words]
    if core and "core_attn" not in modules:
        modules.append("core_attn")
    if "op-level" in lower or "op level" in lower:
        modules.append("op")
    return "selective", tuple(modules)
