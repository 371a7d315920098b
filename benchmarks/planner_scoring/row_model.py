"""The model of a published run: from its columns, or from its name where they are blank."""

import re
from dataclasses import replace

from prodtop.engine.shape.derived import shape_from_parameters
from prodtop.engine.shape.field_errors import FieldError
from prodtop.engine.shape.model_shape import ModelShape
from prodtop.engine.shape.parts import Experts
from prodtop.engine.shape.presets import find_preset
from prodtop.engine.shape.variants import with_layers

from .cells import Cells

_HYBRIDS = (
    "nemotron-3-",
    "nemotron_3_",
    "nemotron 3 ",
    "nemotronh",
    "nemotron-h",
    "mamba",
    "jamba",
)
_MIXTURE = r"\bmoe\b|mixture|\d+ ?x ?\d+(\.\d+)? ?b|\ba\d+(\.\d+)? ?b\b|experts"
_GATED = (
    *("llama", "mistral", "mixtral", "qwen", "deepseek", "gemma", "phi", "falcon3", "gated"),
    *("olmo", "smollm", "internlm", "baichuan", "granite", "command-r", "palm", "swiglu"),
)


_BILLIONS = {"b": 1.0, "m": 1e-3, "t": 1e3}


def row_model(cells: Cells) -> ModelShape:
    """The shape that the row states, with a named model's for what it leaves blank.

    Without hidden size and layers, a known name gives the shape, else a parameter count (stated, or
    part of the name) a plausible one.
    """
    name = cells.text("model")
    known = find_preset(_plain_name(name))
    if known is None and any(word in name.lower() for word in _HYBRIDS):
        raise FieldError("model", f"{name}: which layers of the hybrid are which is not stated")
    billions = cells.measure("params_b", _BILLIONS)
    layers = cells.optional_count("layers")
    hidden = cells.optional_count("hidden")
    if hidden is None or layers is None:
        return _unstated(cells, known, billions, "hidden" if layers else "layers")
    alike = known is not None and known.hidden == hidden
    if alike and known is not None and (known.experts or known.latent):
        return known if known.layers == layers else with_layers(known, layers)
    if alike and known is not None and known.layers != layers:
        cells.assumed.append(f"a layer of {known.name}")
    return _stated(cells, known if alike else None, layers, hidden, billions)


def _unstated(
    cells: Cells, known: ModelShape | None, billions: float | None, missing: str
) -> ModelShape:
    name = cells.text("model")
    if known is not None:
        cells.assumed.append(f"shape of {known.name}")
        return known
    if re.search(_MIXTURE, name.lower()):
        raise FieldError(missing, f"{name}: the shape of a mixture of experts is not stated")
    if billions is None:
        sized = re.search(r"(?<![\w.])(\d+(?:\.\d+)?) ?([bmt])(?![a-z])", _words(name))
        billions = float(sized[1]) * _BILLIONS[sized[2]] if sized else None
    if billions is None:
        raise FieldError(missing, f"{name or 'the model'}: shape is not stated")
    shape = shape_from_parameters(billions * 1e9)
    cells.assumed.append(f"shape of {billions:g}B parameters: {shape.layers} × {shape.hidden}")
    return shape


def _words(name: str) -> str:
    """A name with spaces for what separates its words."""
    return re.sub(r"[-_/]", " ", name.lower())


def _stated(
    cells: Cells, known: ModelShape | None, layers: int, hidden: int, billions: float | None
) -> ModelShape:
    """A shape from the row's columns; `known` has the same hidden size and fills the blanks."""
    name = cells.text("model")
    lower = name.lower()
    gpt = bool(re.search(r"gpt|mpt|mt-nlg|bloom|\bopt", lower))
    biased = gpt and "mpt" not in lower
    gated = known.gated_mlp if known else any(word in lower for word in _GATED)
    heads = cells.optional_count("heads") or (known.heads if known else max(1, hidden // 128))
    kv_heads = cells.optional_count("kv_heads")
    if kv_heads is None:
        kv_heads = known.kv_heads if known and known.heads == heads else heads
    head_dim = max(1, hidden // heads)
    if known is not None and known.heads == heads and known.gated_mlp:
        head_dim = known.head_dim
    vocabulary = cells.optional_count("vocab") or cells.noted(r"vocab\w* (\d{5,6})")
    if vocabulary is None:
        nemotron = "nemotron" in lower
        vocabulary = known.vocabulary if known else 256_000 if nemotron else 51_200
        cells.assumed.append(f"vocab = {vocabulary}")
    ffn = cells.optional_count("ffn") or (known.intermediate if known else None)
    shape = ModelShape(
        name=name,
        layers=layers,
        hidden=hidden,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        intermediate=ffn or 4 * hidden,
        vocabulary=vocabulary,
        gated_mlp=gated,
        tied_embeddings=gpt,
        layer_norm=not gated,
        qkv_bias=biased,
        output_bias=biased,
        mlp_bias=biased,
        dropout=biased,
        experts=_experts(cells),
    )
    return _by_count(cells, shape, billions, ffn, named=gpt or gated)


def _by_count(
    cells: Cells, shape: ModelShape, billions: float | None, ffn: int | None, *, named: bool
) -> ModelShape:
    """What the row leaves open, so that the parameters come closest to those that it states.

    Embeddings may be tied; an MLP whose kind the name does not tell (`named`) may be gated, and one
    without a width is four times as wide as the hidden size, or 8/3 where gated.
    """
    gpt = named and not shape.gated_mlp
    kinds = (shape.gated_mlp,) if named or billions is None else (False, True)
    tied = shape.tied_embeddings
    ties = (tied,) if gpt or billions is None else (tied, not tied)
    candidates = [
        replace(
            shape,
            gated_mlp=gated,
            layer_norm=not gated,
            tied_embeddings=tied,
            intermediate=ffn
            or (round(8 * shape.hidden / 3 / 256) * 256 or 256 if gated else shape.intermediate),
        )
        for gated in kinds
        for tied in ties
    ]
    if ffn is None:
        cells.assumed.append(f"ffn = {candidates[0].intermediate}")
    if billions is None:
        return candidates[0]
    target = billions * 1e9
    best = min(candidates, key=lambda each: abs(each.parameters - target))
    if shape.experts is None and best.parameters < 0.6 * target:
        found = f"{best.parameters / 1e9:.3g}B parameters, not {billions:g}B"
        raise FieldError("params_b", f"{shape.name}: layers as stated come to {found}")
    return best


def _experts(cells: Cells) -> Experts | None:
    """A mixture that the notes describe (`experts=8 topk=2`), if they do."""
    count, active = cells.noted(r"experts\s*=\s*(\d+)"), cells.noted(r"top-?k\s*=\s*(\d+)")
    if not count or not active:
        return None
    return Experts(count=count, active=active, intermediate=cells.optional_count("ffn") or 1)


def _plain_name(name: str) -> str:
    """`LLAMA3_70B SFT` and `Qwen3_30B_a3B (tokendrop)` as presets write them."""
    plain = re.sub(r"\(.*?\)", "", name).strip()
    plain = re.sub(r"\s+(SFT|LoRA|PEFT)\b", "", plain, flags=re.IGNORECASE)
    plain = re.sub(r"^nemotron4\b", "nemotron-4", plain, flags=re.IGNORECASE)
    plain = re.sub(r"(?i)^deepseek[- ]?v3$", "deepseek-v3", plain)
    plain = re.sub(r"(?i)^gpt3-", "gpt3", plain)
    return plain.replace("_", "-")
