"""One published run, from a row of a table to something that can be estimated.

Columns are those of a validation table: source, model, layers, hidden, heads, kv_heads, ffn, vocab,
seq, gpu, num_gpus, tp, pp, vp, cp, dp, zero_stage, micro_bs, global_bs, recompute, precision, and
the measured tokens_per_s_per_gpu, step_time_s, peak_mem_gb, with free notes. Blank cells are filled
from the model's name, from the notes or by what is customary; each such guess is recorded.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from .calibration import Constants, guess_software
from .errors import FieldError
from .hardware import Precision, cluster, find_gpu
from .layout import Layout, Recompute
from .memory import memory
from .model import Experts, ModelShape
from .presets import find_preset
from .setting import Setting

Row = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A row that can be estimated; `assumed` says what the row left open and what was taken."""

    source: str
    label: str
    setting: Setting
    layout: Layout
    assumed: tuple[str, ...]
    step_s: float | None
    tokens_s_gpu: float | None
    peak_bytes: float | None
    peak_reserved: bool


def parse_run(row: Row, constants: Constants) -> Run:
    """Read `row`. Raises `FieldError` naming the column that is missing or cannot be used."""
    cells = _Cells(row)
    text = cells.everything
    model = _model(cells)
    gpu = find_gpu(cells.text("gpu"))
    compiled = "compile" in text and "no compile" not in text
    precision = _precision(cells, gpu.key)
    half = precision == "fp16" or (not cells.text("precision") and gpu.key.startswith(("a", "v")))
    software = constants.profile(
        guess_software(
            f"{cells.text('source')} {text}",
            compiled=compiled,
            half=half,
            zero=cells.zero_stage or 0,
        )
    )
    if "async" in text and software.tp_overlap < ASYNC_TP_OVERLAP:
        software = replace(software, tp_overlap=ASYNC_TP_OVERLAP)
    if software.attention == "flash3" and not gpu.key.startswith(("h", "b", "g")):
        software = replace(software, attention="flash2")
    layout = _layout(cells, software.name, precision)
    sequence = cells.count("seq")
    step, speed, peak = (
        cells.measure(name) for name in ("step_time_s", "tokens_per_s_per_gpu", "peak_mem_gb")
    )
    if step is None and speed is None and peak is None:
        raise FieldError("measured", "no step time, tokens/s or peak memory to compare with")
    nodes = cells.optional_count("nodes")
    gpus = layout.world
    node = gpus // nodes if nodes and gpus % nodes == 0 and gpus // nodes <= 72 else None
    machines = cluster(gpu, gpus, node_gpus=max(node, 1) if node and nodes != 1 else None)
    setting = Setting(
        model=model,
        cluster=machines,
        sequence=sequence,
        software=software,
        constants=constants,
        frozen=bool(re.search(r"\blora\b|\bpeft\b", text)),
    )
    layout = _micro_batches(cells, layout, setting)
    return Run(
        source=cells.text("source"),
        label=f"{model.name} on {gpus} {gpu.name}, {layout.shorthand}",
        setting=setting,
        layout=layout,
        assumed=tuple(cells.assumed),
        step_s=step,
        tokens_s_gpu=speed,
        peak_bytes=None if peak is None else peak * (2.0**30 if "gib" in text else 1e9),
        peak_reserved="reserved" in text or "torchtitan" in cells.text("source").lower(),
    )


ASYNC_TP_OVERLAP = 0.5
"""What asynchronous tensor parallelism hides: a product's pieces run while others travel."""


class _Cells:
    """Typed access to a row; what is filled in for a blank cell is noted in `assumed`."""

    def __init__(self, row: Row) -> None:
        self._row = row
        self.assumed: list[str] = []
        names = ("model", "notes", "precision", "recompute", "zero_stage", "interconnect")
        self.everything = " ".join(self.text(name) for name in names).lower()

    def text(self, name: str) -> str:
        return (self._row.get(name) or "").strip()

    def optional_count(self, name: str) -> int | None:
        text = self.text(name)
        if not text:
            return None
        try:
            value = float(text)
        except ValueError:
            raise FieldError(name, f"must be a number, found {text!r}") from None
        if not 1 <= value < 2**53 or value != int(value):
            raise FieldError(name, f"must be a positive whole number, found {text}")
        return int(value)

    def count(self, name: str) -> int:
        value = self.optional_count(name)
        if value is None:
            raise FieldError(name, "is not stated")
        return value

    def default(self, name: str, value: int) -> int:
        stated = self.optional_count(name)
        if stated is None:
            self.assumed.append(f"{name} = {value}")
            return value
        return stated

    def measure(self, name: str) -> float | None:
        text = self.text(name)
        if not text:
            return None
        try:
            value = float(text)
        except ValueError:
            raise FieldError(name, f"must be a number, found {text!r}") from None
        if not 0 < value < 1e15:
            raise FieldError(name, f"must be a positive number, found {text}")
        return value

    @property
    def zero_stage(self) -> int | None:
        """The stage out of `3 (FSDP2)`, or nothing."""
        stage = re.search(r"[0-3]", self.text("zero_stage"))
        return int(stage.group()) if stage else None

    def noted(self, pattern: str) -> int | None:
        found = re.search(pattern, self.everything)
        return int(found.group(1)) if found else None


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


def _model(cells: _Cells) -> ModelShape:
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


def _experts(cells: _Cells) -> Experts | None:
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


def _precision(cells: _Cells, gpu: str) -> Precision:
    text = cells.text("precision").lower()
    if not text:
        guess: Precision = "fp16" if gpu.startswith(("a100", "v100")) else "bf16"
        cells.assumed.append(f"precision = {guess}")
        return guess
    if re.search(r"fp8|float8|mxfp8|nvfp4|fp4", text):
        return "fp8"
    if "fp16" in text or ("float16" in text and "bfloat16" not in text):
        return "fp16"
    if "bf16" in text or "bfloat16" in text:
        return "bf16"
    return "tf32" if "tf32" in text else "fp32" if "fp32" in text else "bf16"


_MODULES = ("core_attn", "mla_up_proj", "moe_act", "layernorm")


def _recompute(text: str) -> tuple[Recompute, tuple[str, ...]]:
    lower = text.lower()
    if "full" in lower or "true" in lower:
        return "full", ()
    if "selective" not in lower:
        return "none", ()
    modules = [module for module in _MODULES if module in lower]
    words = re.findall(r"\w+", lower)
    modules += [module for module in ("mlp", "moe") if module in words]
    if "core attention" in lower:
        modules.append("core_attn")
    if "op-level" in lower or "op level" in lower:
        modules.append("op")
    return "selective", tuple(modules)


def _layout(cells: _Cells, software: str, precision: Precision) -> Layout:
    tp, pp, cp = (cells.default(name, 1) for name in ("tp", "pp", "cp"))
    gpus = cells.optional_count("num_gpus")
    dp = cells.optional_count("dp")
    if dp is None:
        dp = max(1, gpus // (tp * pp * cp)) if gpus else 1
        if not gpus:
            cells.assumed.append("one replica")
    elif gpus and dp * tp * pp * cp != gpus:
        raise FieldError("dp", f"dp {dp} × tp {tp} × pp {pp} × cp {cp} is not {gpus} GPUs")
    zero = cells.zero_stage
    if zero is None:
        old = software in ("megatron-2021", "megatron-deepspeed")
        zero = 0 if old else 3 if software.startswith(("torch", "fsdp")) else 1
        cells.assumed.append(f"ZeRO stage {zero}")
    recompute, modules = _recompute(cells.text("recompute"))
    if not cells.text("recompute"):
        cells.assumed.append("no recomputation")
    korthikanti = "sequence parallel" in cells.everything and "without seq" not in cells.everything
    modern = software in ("megatron-core", "nanotron", "torch", "torch-compile")
    return Layout(
        dp=dp,
        tp=tp,
        pp=pp,
        vp=_chunks(cells, pp),
        cp=cp,
        ep=cells.noted(r"\bep\s*=\s*(\d+)") or 1,
        zero=zero,
        sequence_parallel=tp > 1 and (modern or korthikanti),
        recompute=recompute,
        recompute_modules=modules,
        precision=precision,
    )


def _chunks(cells: _Cells, pp: int) -> int:
    """Model chunks per stage: stated, or about four layers each where the notes leave it open."""
    stated = cells.optional_count("vp")
    if stated or pp == 1:
        return stated or 1
    layers = cells.optional_count("layers")
    if "interleaved" in cells.everything:
        chunks = 2
    elif layers and re.search(r"\bvp\b[^;]*not stated", cells.everything):
        each = max(1, layers // pp)
        chunks = min(
            (v for v in range(1, each + 1) if each % v == 0), key=lambda v: abs(each / v - 4)
        )
    else:
        return 1
    cells.assumed.append(f"vp = {chunks}")
    return chunks


def _micro_batches(cells: _Cells, layout: Layout, setting: Setting) -> Layout:
    """Micro-batch and how many of them: stated, from the notes, or what is customary.

    Left open without a pipeline, the largest of 1, 2, 4 that fits the memory is taken; with one, a
    sequence each, or torchtitan's default of as many micro-batches as stages.
    """
    micro = cells.optional_count("micro_bs")
    batch = cells.optional_count("global_bs")
    local = cells.noted(r"local batch size (\d+)")
    if batch and batch % layout.dp:
        raise FieldError("global_bs", f"{batch} sequences do not split over dp {layout.dp}")
    per_rank = batch // layout.dp if batch else local or micro or 1
    if not batch and not local:
        cells.assumed.append("no gradient accumulation")
    if micro is None:
        micro = _customary(layout, setting, per_rank)
        cells.assumed.append(f"micro_bs = {micro}")
    if per_rank % micro:
        micro = next(size for size in range(min(micro, per_rank), 0, -1) if per_rank % size == 0)
    return replace(layout, micro_batch=micro, micro_batches=per_rank // micro)


def _customary(layout: Layout, setting: Setting, per_rank: int) -> int:
    if layout.pp > 1:
        stages = layout.pp * layout.vp
        return max(1, per_rank // stages) if setting.software.name.startswith("torch") else 1
    room = setting.cluster.gpu.memory_bytes

    def fits(size: int) -> bool:
        candidate = replace(layout, micro_batch=size, micro_batches=per_rank // size)
        return memory(setting, candidate).total <= room

    sizes = [size for size in (4, 2, 1) if per_rank % size == 0]
    return next((size for size in sizes if fits(size)), 1)
