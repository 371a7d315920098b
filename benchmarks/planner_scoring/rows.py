"""One published run, from a row of a table to something that can be estimated.

Columns are those of a validation table: source, model, layers, hidden, heads, kv_heads, ffn, vocab,
seq, gpu, num_gpus, tp, pp, vp, cp, dp, zero_stage, micro_bs, global_bs, recompute, precision, and
the measured tokens_per_s_per_gpu, step_time_s, peak_mem_gb, with free notes. Blank cells are filled
from the model's name, from the notes or by what is customary; each such guess is recorded.
"""

import re
from dataclasses import dataclass, replace

from prodtop.engine.planner.cost.calibration import Constants
from prodtop.engine.planner.cost.hardware import Cluster, Gpu, Precision, cluster, find_gpu
from prodtop.engine.planner.cost.layout import Layout, Offload
from prodtop.engine.planner.cost.memory import memory
from prodtop.engine.planner.cost.recomputation import recomputed_flops_per_token
from prodtop.engine.planner.cost.setting import Setting
from prodtop.engine.shape.field_errors import FieldError

from .cells import Cells, Row
from .row_model import row_model
from .row_words import (
    guess_software,
    network_bytes_s,
    stated_month,
    stated_precision,
    stated_recompute,
)

_SECONDS = {"s": 1.0, "sec": 1.0, "secs": 1.0, "seconds": 1.0, "ms": 1e-3, "min": 60.0}
_SPEEDS = dict.fromkeys(("tok/s", "tok/s/gpu", "tokens/s", "tokens/s/gpu", "tps", "tgs"), 1.0)
_SPEEDS |= {"k": 1e3, "k/s": 1e3}
_SIZES = {"gb": 1e9, "g": 1e9, "gib": 2.0**30, "mb": 1e6, "mib": 2.0**20}


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
    peak_device: bool


def parse_run(row: Row, constants: Constants) -> Run:
    """Read `row`. Raises `FieldError` naming the column that is missing or cannot be used."""
    cells = Cells(row)
    text = cells.everything
    model = row_model(cells)
    gpu = _board(cells)
    compiled = "compile" in text and "no compile" not in text
    precision = stated_precision(cells, gpu.key)
    half = precision == "fp16" or (not cells.text("precision") and gpu.key.startswith(("a", "v")))
    # fp16 stands for the time before flash attention only where nothing newer is in sight.
    half = half and gpu.key.startswith(("a", "v")) and not re.search(_FLASH, text)
    month = stated_month(f"{cells.text('source')} {cells.text('url_or_repo_path')}", text)
    software = constants.release(
        guess_software(
            f"{cells.text('source')} {text}",
            compiled=compiled,
            half=half,
            zero=cells.zero_stage or 0,
            model_parallel=any((cells.optional_count(name) or 1) > 1 for name in ("tp", "pp")),
        ),
        month,
    )
    if "megatron-fsdp" in f"{cells.text('zero_stage')} {text}".lower():
        software = constants.profile("megatron-fsdp")
    if "is an assumption" in text:
        cells.assumed.append("global_bs and layout, as the table assumes")
    if month is None:
        cells.assumed.append(f"newest release: {software.name}")
    if re.search(r"liger|foak|fast kernels|unsloth|llm\.c", text):
        fused = constants.profile("torch-compile")
        software = replace(
            software,
            elementwise=fused.elementwise,
            logit_copies=fused.logit_copies,
            logit_bytes=fused.logit_bytes,
            adapter_bytes=8.0,
        )
    if "async" in text and software.tp_overlap < ASYNC_TP_OVERLAP:
        software = replace(software, tp_overlap=ASYNC_TP_OVERLAP)
    if software.attention == "flash3" and not gpu.key.startswith(("h", "b", "g", "mi3")):
        software = replace(software, attention="flash2")
    board = cells.text("gpu").lower()
    if re.search(r"power (limit(ed)?|cap)", f"{board} {text}") and not re.search(r"\d ?w\b", board):
        cells.assumed.append("power limit as the vendor's")
    layout = _layout(cells, software.name, precision)
    sequence = _sequence(cells)
    step = cells.measure("step_time_s", _SECONDS)
    speed = cells.measure("tokens_per_s_per_gpu", _SPEEDS)
    peak = cells.measure("peak_mem_gb", _SIZES, 2.0**30 if "gib" in text else 1e9)
    flops = _stated_flops(cells, gpu, precision)
    if step is None and speed is None and peak is None and flops is None:
        raise FieldError("measured", "no step time, tokens/s or peak memory to compare with")
    machines = _cluster(cells, gpu, layout.world)
    setting = Setting(
        model=model,
        cluster=machines,
        sequence=sequence,
        software=software,
        constants=constants,
        frozen=bool(re.search(r"q?lora\b|\bpeft\b", text)),
        frozen_bytes=NF4_BYTES if re.search(r"4-bit|\bnf4\b|gptq|qlora", text) else 2.0,
        pure=bool(re.search(r"pure|bf16 weights|bf16-true|bf16 states", text)),
        chunked_loss=bool(re.search(r"liger|chunked|fused (linear )?cross", text)),
    )
    layout = _as_it_fits(cells, _micro_batches(cells, layout, setting), setting)
    if not (setting.frozen or setting.pure or _fits(setting, layout)) and layout.world == 1:
        cells.assumed.append("states in bf16, to fit")
        setting = replace(setting, pure=True)
    if step is None and speed is None and flops is not None:
        speed = flops / _counted_flops(cells, setting, layout)
    return Run(
        source=cells.text("source"),
        label=f"{model.name} on {layout.world} {gpu.name}, {layout.shorthand}",
        setting=setting,
        layout=layout,
        assumed=tuple(cells.assumed),
        step_s=step,
        tokens_s_gpu=speed,
        peak_bytes=peak,
        peak_reserved="reserved" in text or "torchtitan" in cells.text("source").lower(),
        peak_device="nvidia-smi" in text,
    )


def _board(cells: Cells) -> Gpu:
    """The GPU. PyTorch's own tables are of H100s with 96 GB and 500 W wherever they say which."""
    gpu = find_gpu(cells.text("gpu"))
    if not re.search(r"variant[^;]*not stated", cells.everything):
        return gpu
    ours = gpu.key == "h100-sxm" and "torchtitan" in cells.everything
    gpu = find_gpu("h100-sxm-96") if ours else gpu
    cells.assumed.append(f"power limit and memory of a {gpu.name}")
    return gpu


def _stated_flops(cells: Cells, gpu: Gpu, precision: Precision) -> float | None:
    """FLOP/s of a GPU: stated as such, or as a share of its peak."""
    rate = cells.measure("achieved_tflops_per_gpu", {"t": 1.0, "tflop/s": 1.0})
    share = cells.measure("mfu", {"%": 0.01}, 1.0)
    if rate is None and share is not None:
        return gpu.peak_flops(precision) * (share if share <= 1 else share / 100)
    return None if rate is None else rate * 1e12


def _counted_flops(cells: Cells, setting: Setting, layout: Layout) -> float:
    """What a source counts as FLOPs of a token: the notes say whether with recomputation, and how
    much of the attention; else as its framework prints it. Megatron-LM's training loop halves the
    attention for the mask since 2025 (`num_floating_point_operations`), others count all of it."""
    causal = "causalhalf" in cells.everything
    if "flops_def=" not in cells.everything or "flops_def=unknown" in cells.everything:
        causal = causal or setting.software.name.startswith(_HALVES_ATTENTION)
        cells.assumed.append(f"FLOPs as the model's, {'half the' if causal else 'full'} attention")
    flops = setting.model.flops_per_token(setting.sequence, causal=causal)
    if re.search(r"flops_def=hw|96 ?b ?s ?l ?h", cells.everything):
        flops += recomputed_flops_per_token(setting, layout, causal=causal)
    return flops


_HALVES_ATTENTION = ("megatron-core-2025", "megatron-fsdp", "megatron-bridge", "nemo-2025")
_FLASH = r"flash|cudnn|\bfa-?[23]\b|(?<!no )\bsdpa\b"
NF4_BYTES = 0.5 + 1.0 / 64 + 4.0 / 64 / 256
"""Half a byte and a scale for 64 weights, itself in a byte with a scale for 256 of them (QLoRA,
Dettmers et al. 2023, section 3)."""
ASYNC_TP_OVERLAP = 0.5
"""What asynchronous tensor parallelism hides: a product's pieces run while others travel."""


def _sequence(cells: Cells) -> int:
    """Tokens per sequence: stated, or said in the notes."""
    stated = cells.optional_count("seq")
    noted = cells.noted(r"\bseq(?:uence)?[ _-]*(?:len(?:gth)?)?\s*(?:=|:|of|is)?\s*(\d{3,7})\b")
    if stated is None and noted:
        cells.assumed.append(f"seq = {noted}")
        return noted
    return cells.count("seq")


def _cluster(cells: Cells, gpu: Gpu, gpus: int) -> Cluster:
    node_gpus = _node_gpus(cells, gpus, gpu.node_gpus)
    network = network_bytes_s(cells.text("interconnect"), node_gpus)
    return cluster(gpu, gpus, node_gpus=node_gpus, network_bytes_s=network)


def _node_gpus(cells: Cells, gpus: int, customary: int) -> int:
    """GPUs with fast links: stated by the nodes, unless the link reaches further than a node."""
    nodes = cells.optional_count("nodes")
    if not nodes or nodes == 1 or gpus % nodes or customary > 8:
        return customary
    return min(gpus // nodes, 72)


def _replicas(cells: Cells, model_parallel: int, cp: int) -> int:
    """dp: stated, or what the GPUs leave. Some sources count context ranks among the replicas."""
    gpus, dp = cells.optional_count("num_gpus"), cells.optional_count("dp")
    if gpus is None:
        if dp is None:
            cells.assumed.append("one replica")
        return dp or 1
    replicas, rest = divmod(gpus, model_parallel * cp)
    if rest or not replicas:
        ranks = f"tp · pp · cp = {model_parallel * cp} ranks"
        raise FieldError("num_gpus", f"{gpus} GPUs do not split over {ranks}")
    if dp not in (None, replicas, replicas * cp):
        raise FieldError("dp", f"dp {dp} × tp · pp {model_parallel} × cp {cp} is not {gpus} GPUs")
    return replicas


def _layout(cells: Cells, software: str, precision: Precision) -> Layout:
    tp, pp, cp = (cells.default(name, 1) for name in ("tp", "pp", "cp"))
    dp = _replicas(cells, tp * pp, cp)
    zero = cells.zero_stage
    if zero is None:
        old = software in ("megatron-2021", "megatron-deepspeed")
        zero = 0 if old else 3 if software.startswith(("torch", "fsdp", "automodel")) else 1
        cells.assumed.append(f"ZeRO stage {zero}")
    recompute, modules = stated_recompute(cells.text("recompute"))
    if not cells.text("recompute"):
        noted = re.search(
            r"full (activation )?(recompute|recomputation|checkpoint)", cells.everything
        )
        recompute = "full" if noted else "none"
        cells.assumed.append("full recomputation" if noted else "no recomputation")
    some = cells.noted(r"full on (\d+) of \d+ layers")
    korthikanti = "sequence parallel" in cells.everything and "without seq" not in cells.everything
    modern = software.startswith(
        ("megatron-core", "megatron-bridge", "nemo", "nanotron", "automodel", "torch")
    )
    return Layout(
        dp=dp,
        tp=tp,
        pp=pp,
        vp=_chunks(cells, pp, dp, software),
        cp=cp,
        ep=cells.optional_count("ep") or cells.noted(r"\bep\s*=\s*(\d+)") or 1,
        zero=zero,
        sequence_parallel=tp > 1 and (modern or korthikanti),
        recompute=recompute,
        recompute_modules=modules,
        offload=_offload(cells.everything, software),
        recompute_layers=-(-some // pp) if some else -1,
        precision=precision,
    )


def _offload(text: str, software: str) -> Offload:
    if re.search(r"cpu offload (true|yes)", text):
        return "all"
    if software.startswith("megatron"):
        # It sends the modules that are named for it, no more than hides beside products.
        return "none"
    # What a checkpoint keeps is the activations that are left.
    kept = r"activations? ?offload|offload_activations ?= ?(1|true)|checkpointing with cpu offload"
    return "activations" if re.search(kept, text) else "none"


def _chunks(cells: Cells, pp: int, dp: int, software: str) -> int:
    """Model chunks per stage: stated, or about four layers each where the row leaves it open.

    Open is what the notes call not stated, and a Megatron pipeline with few micro-batches: nobody
    lets a fifth of the step pass in a bubble that interleaving would shrink.
    """
    stated = cells.optional_count("vp")
    if stated or pp == 1:
        return stated or 1
    layers = cells.optional_count("layers")
    batch, micro = _global_batch(cells, _sequence(cells)), cells.optional_count("micro_bs") or 1
    long = batch is not None and (pp - 1) * dp * micro > 0.2 * batch
    open_ended = bool(re.search(r"\bvp\b[^;]*not stated", cells.everything))
    if re.search(r"(?<!non-)(?<!non )(?<!not )interleaved", cells.everything):
        chunks = 2
    elif layers and (
        open_ended or (long and software.startswith(("megatron-core", "megatron-bridge", "nemo")))
    ):
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
    sequence each, or torchtitan's default of as many micro-batches as stages. Where even the batch
    is open, one micro-batch is taken without a pipeline, and four a stage with one, as nobody lets
    most of a pipeline stand still.
    """
    micro = cells.optional_count("micro_bs")
    batch = _global_batch(cells, setting.sequence)
    local = cells.noted(r"local batch size (\d+)")
    if batch and batch % layout.dp:
        if not _in_tokens(cells):
            raise FieldError("global_bs", f"{batch} sequences do not split over dp {layout.dp}")
        batch = max(1, round(batch / layout.dp)) * layout.dp
        cells.assumed.append(f"global_bs = {batch}")
    if batch or local:
        per_rank = batch // layout.dp if batch else local or 1
    elif layout.pp > 1:
        per_rank = 4 * layout.pp * (micro or 1)
        cells.assumed.append(f"{4 * layout.pp} micro-batches")
    else:
        per_rank = micro or 4
        cells.assumed.append("no gradient accumulation")
    if micro is None:
        micro = _customary(layout, setting, per_rank)
        cells.assumed.append(f"micro_bs = {micro}")
    if per_rank % micro:
        micro = next(size for size in range(min(micro, per_rank), 0, -1) if per_rank % size == 0)
        cells.assumed.append(f"micro_bs = {micro}, which divides {per_rank}")
    return replace(layout, micro_batch=micro, micro_batches=per_rank // micro)


SLACK = 1.3
"""How far beyond the memory an estimate must be before a row's open settings are doubted."""


def _fits(setting: Setting, layout: Layout) -> bool:
    return memory(setting, layout).total <= SLACK * setting.cluster.gpu.memory_bytes


def _as_it_fits(cells: Cells, layout: Layout, setting: Setting) -> Layout:
    """`layout`, or one that fits: the run ran, so that what is open saved as much as it had to."""
    ways: list[tuple[str, Layout]] = []
    if cells.zero_stage is None and layout.dp > 1 and layout.pp == 1:
        ways.append(("ZeRO stage 3", replace(layout, zero=3)))
    if "no recomputation" in cells.assumed:
        full = replace(layout, recompute="full")
        ways += [("full recomputation", full)]
        ways += [
            (f"{words}, full recomputation", replace(way, recompute="full"))
            for words, way in ways[:-1]
        ]
    for words, way in [("", layout), *ways]:
        if _fits(setting, way):
            if words:
                cells.assumed.append(f"{words}, to fit")
            return way
    return layout


def _global_batch(cells: Cells, sequence: int) -> int | None:
    """Sequences of the global batch, also where the row or its notes state it in tokens."""
    if not _in_tokens(cells):
        return cells.optional_count("global_bs")
    units = {"k": 1e3, "m": 1e6, "tok": 1.0, "tokens": 1.0, "mtok": 1e6, "mtokens": 1e6}
    tokens = cells.measure("global_bs", units)
    if tokens is None:
        noted = re.search(_BATCH_IN_TOKENS, cells.everything)
        tokens = float(noted[1]) * 1e6 if noted else None
    return None if tokens is None else max(1, round(tokens / sequence))


_BATCH_IN_TOKENS = r"batch(?: size)?(?: of)?[ =:]*(\d+(?:\.\d+)?) ?m(?:illion)? ?tok"


def _in_tokens(cells: Cells) -> bool:
    stated = cells.text("global_bs").lower()
    return "tok" in stated or (not stated and bool(re.search(_BATCH_IN_TOKENS, cells.everything)))


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
