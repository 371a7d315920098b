"""One published run, from a row of a table to something that can be estimated.

Columns are those of a validation table: source, model, layers, hidden, heads, kv_heads, ffn, vocab,
seq, gpu, num_gpus, tp, pp, vp, cp, dp, zero_stage, micro_bs, global_bs, recompute, precision, and
the measured tokens_per_s_per_gpu, step_time_s, peak_mem_gb, with free notes. Blank cells are filled
from the model's name, from the notes or by what is customary; each such guess is recorded.
"""

import re
from dataclasses import dataclass, replace

from .calibration import Constants, guess_software
from .cells import Cells, Row
from .errors import FieldError
from .hardware import Precision, cluster, find_gpu
from .layout import Layout, Recompute
from .memory import memory
from .row_model import row_model
from .setting import Setting


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
    cells = Cells(row)
    text = cells.everything
    model = row_model(cells)
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
            model_parallel=any((cells.optional_count(name) or 1) > 1 for name in ("tp", "pp")),
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
    machines = cluster(gpu, layout.world, node_gpus=_node_gpus(cells, layout.world, gpu.node_gpus))
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
        label=f"{model.name} on {layout.world} {gpu.name}, {layout.shorthand}",
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


def _node_gpus(cells: Cells, gpus: int, customary: int) -> int:
    """GPUs with fast links: stated by the nodes, unless the link reaches further than a node."""
    nodes = cells.optional_count("nodes")
    if not nodes or nodes == 1 or gpus % nodes or customary > 8:
        return customary
    return min(gpus // nodes, 72)


def _precision(cells: Cells, gpu: str) -> Precision:
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
    if "full" in lower or lower in ("true", "yes", "block", "uniform"):
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


def _layout(cells: Cells, software: str, precision: Precision) -> Layout:
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
        vp=_chunks(cells, pp, dp, software),
        cp=cp,
        ep=cells.noted(r"\bep\s*=\s*(\d+)") or 1,
        zero=zero,
        sequence_parallel=tp > 1 and (modern or korthikanti),
        recompute=recompute,
        recompute_modules=modules,
        precision=precision,
    )


def _chunks(cells: Cells, pp: int, dp: int, software: str) -> int:
    """Model chunks per stage: stated, or about four layers each where the row leaves it open.

    Open is what the notes call not stated, and a Megatron pipeline with few micro-batches: nobody
    lets a fifth of the step pass in a bubble that interleaving would shrink.
    """
    stated = cells.optional_count("vp")
    if stated or pp == 1:
        return stated or 1
    layers = cells.optional_count("layers")
    batch, micro = cells.optional_count("global_bs"), cells.optional_count("micro_bs") or 1
    long = batch is not None and (pp - 1) * dp * micro > 0.2 * batch
    open_ended = bool(re.search(r"\bvp\b[^;]*not stated", cells.everything))
    if "interleaved" in cells.everything:
        chunks = 2
    elif layers and (open_ended or (long and software in ("megatron-core", "megatron-bridge"))):
        each = max(1, round(layers / pp))
        chunks = min(
            (v for v in range(1, each + 1) if each % v == 0), key=lambda v: abs(each / v - 4)
        )
    else:
        return 1
    cells.assumed.append(f"vp = {chunks}")
    return chunks


def _micro_batches(cells: Cells, layout: Layout, setting: Setting) -> Layout:
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
