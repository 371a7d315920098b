"""The model of a published run: from its columns, or from its name where they are blank."""

import re
from dataclasses import replace

from .cells import Cells
from .errors import FieldError
from .model import Experts, ModelShape
from .presets import find_preset

_HYBRIDS = (
    "nemotron-3-",
    "nemotron_3_",
    "nemotron 3 ",
    "nemotronh",
    "nemotron-h",
    "mamba",
    "jamba",
)
_GATED = ("llama", "mistral", "mixtral", "qwen", "deepseek", "gemma", "phi", "falcon3", "gated")


def row_model(cells: Cells) -> ModelShape:
    """The shape that the row states, with a named model's for what it leaves blank."""
    name = cells.text("model")
    if any(word in name.lower() for word in _HYBRIDS):
        raise FieldError("model", f"{name}: state-space layers are not modelled")
    known = find_preset(_plain_name(name))
    layers = cells.optional_count("layers")
    hidden = cells.optional_count("hidden")
    if hidden is None or layers is None:
        if known is None:
            raise FieldError("hidden" if layers else "layers", f"{name}: shape is not stated")
        cells.assumed.append(f"shape of {known.name}")
        return known
    if known is not None and (known.experts or known.latent) and known.hidden == hidden:
        return known
    heads = cells.optional_count("heads") or max(1, hidden // 128)
    ffn = cells.optional_count("ffn") or 4 * hidden
    vocabulary = cells.optional_count("vocab") or cells.noted(r"vocab\w* (\d{5,6})")
    if vocabulary is None:
        nemotron = "nemotron" in name.lower()
        vocabulary = known.vocabulary if known else 256_000 if nemotron else 51_200
        cells.assumed.append(f"vocab = {vocabulary}")
    lower = name.lower()
    gated = any(word in lower for word in _GATED)
    total = cells.measure("params_b")
    gpt = any(word in lower for word in ("gpt", "mpt", "mt-nlg", "bloom", "opt"))
    shape = ModelShape(
        name=name,
        layers=layers,
        hidden=hidden,
        heads=heads,
        kv_heads=cells.optional_count("kv_heads") or heads,
        head_dim=max(1, hidden // heads),
        ffn=ffn,
        vocabulary=vocabulary,
        gated=gated,
        tied=gpt,
        layer_norm=not gated,
        linear_bias=gpt and "mpt" not in lower,
        dropout=gpt and "mpt" not in lower,
        experts=_experts(cells),
    )
    return _untie(shape, total) if total and not gpt else shape


def _untie(shape: ModelShape, billions: float) -> ModelShape:
    """Tied where that comes closer to the stated parameter count."""
    tied = replace(shape, tied=True)
    target = billions * 1e9
    return min((shape, tied), key=lambda s: abs(s.parameters - target))


def _experts(cells: Cells) -> Experts | None:
    """A mixture that the notes describe (`experts=8 topk=2`), if they do."""
    count, active = cells.noted(r"experts\s*=\s*(\d+)"), cells.noted(r"top-?k\s*=\s*(\d+)")
    if not count or not active:
        return None
    return Experts(count=count, active=active, ffn=cells.optional_count("ffn") or 1)


def _plain_name(name: str) -> str:
    """`LLAMA3_70B SFT` and `Qwen3_30B_a3B (tokendrop)` as presets write them."""
    plain = re.sub(r"\(.*?\)", "", name).strip()
    plain = re.sub(r"\s+(SFT|LoRA|PEFT)\b", "", plain, flags=re.IGNORECASE)
    plain = re.sub(r"^nemotron4\b", "nemotron-4", plain, flags=re.IGNORECASE)
    plain = re.sub(r"(?i)^deepseek[- ]?v3$", "deepseek-v3", plain)
    plain = re.sub(r"(?i)^gpt3-", "gpt3", plain)
    return plain.replace("_", "-")
