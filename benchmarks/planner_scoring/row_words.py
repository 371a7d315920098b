"""Framework, precision, recomputation and network of a published run, in its source's words."""

import re

from prodtop.engine.planner.cost.hardware import Precision
from prodtop.engine.planner.cost.layout import Recompute

from .cells import Cells


def stated_precision(cells: Cells, gpu: str) -> Precision:
    """The precision of a row on `gpu`; left open, fp16 before bf16 was usual, else bf16."""
    text = cells.text("precision").lower()
    if re.search(r"nvfp4|fp4", text):
        return "nvfp4"
    if "mxfp8" in text or "fp8-mx" in text:
        return "mxfp8"
    if re.search(r"row-?wise", text):
        return "fp8-rowwise"
    if re.search(r"block-?wise|fp8-sc|subchannel|deepgemm", text):
        return "fp8-block"
    if re.search(r"f(?:loat)?-?p?8|e4m3|hfp8", text):
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


_INSIDE = re.compile(r"nvlink|nvswitch|xgmi|infinity fabric|pcie")
_RATE = re.compile(
    r"(?:(?P<nics>[1-9]\d?)\s*[xX×]\s*)?"
    r"(?P<rate>\d{1,5}(?:\.\d+)?)\s*(?P<scale>[tTgG])(?P<unit>bits?|b|B)(?:ps|/s)?\b"
)
_NAMED = re.compile(
    r"(?:(?P<nics>[1-9]\d?)\s*[x×]\s*)?(?P<name>edr|hdr|ndr|xdr)\s*(?P<rate>\d{3})?\b"
)
_GENERATIONS = {"edr": 100, "hdr": 200, "ndr": 400, "xdr": 800}
"""Gb/s of an InfiniBand port (IBTA roadmap)."""
LEAST_NIC_BITS_S = 100e9
"""A rate up to this, with no word on whose it is, is a node's: each GPU had more since 2020."""


def network_bytes_s(words: str, node_gpus: int) -> float | None:
    """Bytes per second and direction of each GPU's share, or nothing where the words say none.

    `words` are a row's interconnect, such as `NVLink 600GB/s; 8x HDR200 IB per node`. Several NICs
    (`8x`) are a node's, and so is what `per node` follows. A rate alone is each GPU's, unless it is
    no more than `LEAST_NIC_BITS_S`.
    """
    for part in re.split(r"[;,+]|\band\b", words):
        if _INSIDE.search(part.lower()):
            continue
        rate = _rate(part)
        if rate is not None:
            bits, nics = rate
            whole = re.search(r"(per|/|a|each) ?(node|server|host|machine|instance)", part.lower())
            if nics is not None:
                return bits * nics / 8 / node_gpus
            shared = whole or (bits <= LEAST_NIC_BITS_S and "gpu" not in part.lower())
            return bits / 8 / (node_gpus if shared else 1)
    return None


def _rate(part: str) -> tuple[float, int | None] | None:
    """Bits per second of one NIC, and how many there are where it is said."""
    match = _RATE.search(part)
    if match:
        bits = float(match["rate"]) * (1e12 if match["scale"] in "tT" else 1e9)
        if match["unit"].endswith("B"):
            bits *= 8
    else:
        match = _NAMED.search(part.lower())
        if match is None:
            return None
        bits = 1e9 * float(match["rate"] or _GENERATIONS[match["name"]])
    return (bits, int(match["nics"]) if match["nics"] else None) if bits else None


_FRAMEWORKS = (
    (r"vtrain|megatron-deepspeed|mt-nlg|mt nlg", "megatron-deepspeed"),
    (r"narayanan|sc21|korthikanti|megatron-lm (v2|2\.|2021|2022)", "megatron-2021"),
    (r"llm-foundry|mosaic|composer|\bmpt\b", "fsdp-2023"),
    (r"torchtitan", "torch"),
    (r"nanotron", "nanotron"),
    (r"bridge", "megatron-bridge"),
    (r"\bjax\b|\bxla\b|maxtext|paxml", "jax"),
    (r"auto-?model", "automodel"),
    (r"nemo|dgxc|mlperf", "nemo"),
    (r"megatron|mcore|transformer engine", "megatron"),
    (r"deepspeed|\bzero[- ]?([23]|offload|infinity|\+\+)", "deepspeed"),
    (r"fsdp|lightning|axolotl|accelerate|torchtune|hugging|nanogpt|lit-?gpt|picotron", "torch"),
)


def guess_software(
    text: str,
    *,
    compiled: bool = False,
    half: bool = False,
    zero: int = 0,
    model_parallel: bool = False,
) -> str:
    """The framework generation that a run's description suggests.

    `half` says that it ran in fp16 (the time before bf16 and flash attention); `compiled` that
    torch.compile was on. Megatron never had ZeRO's third stage in that time: DeepSpeed ran it.
    `model_parallel` runs that name no framework are taken for Megatron's kind.
    """
    lower = text.lower()
    name = next((name for pattern, name in _FRAMEWORKS if re.search(pattern, lower)), None)
    if name is None:
        name = "megatron-2021" if half else "megatron" if model_parallel else "torch"
    if name in ("megatron", "nemo", "deepspeed") and half:
        name = "megatron-2021"
    if name == "megatron-2021" and zero == 3:
        return "deepspeed-2021"
    return "torch-compile" if name == "torch" and compiled else name


_MONTH = re.compile(r"\b(20[12]\d)-(0[1-9]|1[0-2])(?!\d)|\b(2[2-9])\.(0[1-9]|1[0-2])\b")
_ROUNDS = {"4.0": "2024-06", "4.1": "2024-11", "5.0": "2025-06", "5.1": "2025-11"}
"""When a round of MLPerf Training was published."""


def stated_month(words: str, notes: str) -> str | None:
    """The month that a row's source says it is of: `2023-08`, `24.07`, or a round of MLPerf."""
    round_ = re.search(r"mlperf.*?v(\d\.\d)|training_results_v(\d\.\d)", words.lower())
    if round_:
        return _ROUNDS.get(round_[1] or round_[2])
    container = re.search(r"\b\d\d\.\d\d(?:\.\d+)? nemo container", notes)
    match = _MONTH.search(container[0] if container else words)
    if match is None:
        year = re.search(r"\b(20[12]\d)\b", words)
        return f"{year[1]}-06" if year else None
    return f"{match[1]}-{match[2]}" if match[1] else f"20{match[3]}-{match[4]}"
