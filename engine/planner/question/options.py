"""Every option of the planner, declared once: command line, form and exports read it here.

In the order of `prodtop plan --help` and of the form.
"""

from collections.abc import Mapping
from dataclasses import replace

from ...shape.presets import PRESETS
from ..cost.calibration import default_constants
from ..cost.hardware import PRECISIONS, known_gpus
from ..export.contract import TrainingRun
from ..search.constraints import (
    MOST_GPUS,
    MOST_SEQUENCES,
    OFFLOADS,
    OPTIMIZERS,
    RECOMPUTES,
    SCHEDULES,
)
from ..serving_capacity import storage
from .option import (
    ABOVE_ZERO,
    ANY_COUNT,
    CLUSTER,
    LAYOUT,
    SEARCHED,
    SERVING,
    SOFTWARE,
    TRAINING,
    USUAL,
    Line,
    Option,
    choice,
    degree,
    left_open,
    powers,
    up_to,
)
from .parsers import (
    ALL,
    AUTO,
    SERVED,
    above_zero,
    count,
    counts,
    gpu_file,
    one_of,
    optional,
    recomputation,
    several,
    shard_size,
    switch,
    zero_stage,
)
from .tuning_options import ADAPTER_OPTIONS, RUN_OPTIONS

SEQUENCES_PER_GPU = 8
"""Of the global batch, unless it is given."""
LARGEST_CLUSTER = 16_384
"""GPUs up to which the form steps; more can be typed."""

_A_MODEL = "a preset, a count such as 13B, or a path to a config.json"
_A_MODEL_OR_SERVED = "a preset, a count such as 13B, a path to a config.json, or served"
MODEL = (
    Option("model", str.strip, _A_MODEL, "generic-7b", metavar="M")
    .refused("give a preset, a config.json or a parameter count such as 7B")
    .in_form(
        "model", TRAINING, (SERVED, *PRESETS), hint=_A_MODEL_OR_SERVED, limits="", numeric=False
    )
)
BATCH = (
    Option("batch", optional(count(MOST_SEQUENCES)), "sequences per step")
    .following(f"{SEQUENCES_PER_GPU} for each GPU")
    .refused("give a batch that the replicas share evenly, or another --gpus")
    .in_form(
        "batch",
        TRAINING,
        powers(1, 16_384),
        first="256",
        limits=up_to(MOST_SEQUENCES),
        unit="seq",
    )
)
SEQUENCE = (
    Option("sequence", count(), "tokens a sequence, such as 4096 or 8k", "4096")
    .refused("give a number of tokens, such as 8k")
    .in_form("sequence", TRAINING, powers(512, 1 << 20), unit="tok")
)
_TOKENS = ("1B", "10B", "100B", "300B", "1T", "2T", "5T", "10T", "15T", "30T")
TOKENS = Option(
    "tokens", optional(above_zero), "tokens to train on, such as 2T", metavar="T"
).in_form("train on", TRAINING, _TOKENS, first="1T", limits=ABOVE_ZERO, unit="tok")
_A_GPU = "a GPU type, such as a100-80 or mi300x, or your own as FILE.toml"
GPU = (
    Option("gpu", str.strip, _A_GPU, "h100-sxm", metavar="G")
    .refused("or describe yours with --hardware FILE")
    .in_form("GPU", CLUSTER, tuple(known_gpus()), limits="", numeric=False)
)
HARDWARE = Option("hardware", optional(gpu_file), "your own GPUs, as TOML", metavar="FILE").refused(
    "correct the file"
)
GPUS = (
    Option("gpus", count(MOST_GPUS), "GPUs in all", "32")
    .refused("give another number of GPUs")
    .in_form("GPUs", CLUSTER, powers(1, LARGEST_CLUSTER), limits=up_to(MOST_GPUS))
)
NODE_GPUS = (
    Option("node_gpus", optional(count()), "GPUs joined by fast links", auto=USUAL)
    .refused("give a positive whole number")
    .in_form("per node", CLUSTER, (AUTO, "1", "2", "4", "8", "16", "32", "72"))
)
_NETWORKS = (AUTO, "1.25", "3.125", "6.25", "12.5", "25", "50", "100")
NETWORK = Option(
    "network_gb_s", optional(above_zero), "GB/s per GPU between nodes", auto=USUAL, metavar="B"
).in_form("network", CLUSTER, _NETWORKS, limits=ABOVE_ZERO, unit="GB/s")
_LIMITS = (AUTO, "16", "24", "40", "48", "64", "72", "80", "96", "128", "141", "180", "192")
MEMORY = (
    Option("memory_gib", optional(above_zero), "GiB of memory per GPU to stay within", metavar="G")
    .following("all of it")
    .refused("give a larger limit or more GPUs")
    .in_form("mem. limit", CLUSTER, _LIMITS, limits=ABOVE_ZERO, unit="GiB")
)
_PRICES = (AUTO, "0.5", "1", "1.5", "2", "2.5", "3", "4", "6", "8", "10")
_PRICED = "US dollars per GPU and hour"
PRICE = Option("price", optional(above_zero), _PRICED, metavar="P").in_form(
    "price",
    CLUSTER,
    _PRICES,
    hint=f"{_PRICED}; auto: the list price",
    limits=ABOVE_ZERO,
    unit="$/h",
)
DP = left_open("dp", "replicas", count())
TP = degree("tp", "GPUs that split each layer", "tensor", 64)
PP = degree("pp", "stages that split the layers", "pipeline", 128)
VP = degree("vp", "model chunks a stage, interleaved", "chunks", 16)
CP = degree("cp", "GPUs that split each sequence", "context", 64)
EP = degree("ep", "GPUs that share out the experts", "experts", 256)
EXPERT_TP = Option("expert_tp", count(), "GPUs that split each expert", "1")
MICRO_BATCH = degree("micro_batch", "sequences at a time", "micro-batch", 64, "seq")
_STAGES = "what replicas share out: 1 optimizer, 2 and gradients, 3 and weights (FSDP)"
ZERO = left_open("zero", _STAGES, zero_stage, "0-3").in_form(
    "ZeRO", LAYOUT, ("0", "1", "2", "3"), first="1", limits="0, 1, 2 or 3", numeric=False
)
_SHARDS = "ranks that share one sharded copy: fewer than all is hybrid sharding"
DP_SHARD = left_open("dp_shard", _SHARDS, shard_size, "N|all").in_form(
    "shard over", LAYOUT, (ALL, *powers(2, 512)), first=ALL, limits=f"{ALL}, or {ANY_COUNT}"
)
_SPLITS = "sequence parallelism beside tensor parallelism"
SEQUENCE_PARALLEL = (
    Option("sequence_parallel", optional(switch), _SPLITS, metavar="")
    .following("wherever the sequence splits")
    .in_form("seq. split", LAYOUT, (AUTO, "on", "off"), limits="auto, on or off", numeric=False)
)
_AGAIN = "activations computed again in the backward pass"
RECOMPUTE = choice(
    "recompute", _AGAIN, optional(recomputation), RECOMPUTES, LAYOUT, "none", auto=SEARCHED
)
_ORDER = "order of micro-batches"
SCHEDULE = choice(
    "schedule", _ORDER, optional(one_of(SCHEDULES)), SCHEDULES, LAYOUT, "1f1b", auto="the last two"
)
OFFLOAD = choice("offload", "to the host's memory", one_of(OFFLOADS), OFFLOADS, LAYOUT, "none")
PRECISION = choice(
    "precision", "of the matrix products", one_of(PRECISIONS), PRECISIONS, SOFTWARE, "bf16"
).refused("choose another precision or GPU")
OPTIMIZER = choice("optimizer", "states to keep", one_of(OPTIMIZERS), OPTIMIZERS, SOFTWARE, "adamw")
STATES_KEPT = ("mixed", "bf16", "bf16-backward")
_STATES = "weights, gradients and moments: as the framework does, or bf16 without a master"
STATES = Option("states", one_of(STATES_KEPT), _STATES, "mixed", "", "S", STATES_KEPT)
_LOSSES = ("whole", "chunked")
LOSS = Option("loss", one_of(_LOSSES), "logits at once or in pieces", "whole", "", "L", _LOSSES)
FRAMEWORK = choice(
    "framework",
    "whose kernels and habits",
    lambda text: default_constants().profile(text.strip()),
    tuple(default_constants().software),
    SOFTWARE,
    "megatron-core",
)
TOP = Option("top", count(100), "layouts to show, at most 100", "8")
REQUESTS = Option("requests", count(), "in flight at a time", "32").in_form(
    "requests", SERVING, powers(1, 4096)
)
_EACH = "tokens of each request, such as 512 or 8k"
PROMPT_TOKENS = Option("prompt_tokens", count(), _EACH, "512").in_form(
    "prompt", SERVING, powers(16, 1 << 17), hint="tokens", unit="tok"
)
OUTPUT_TOKENS = Option("output_tokens", count(), _EACH, "256").in_form(
    "output", SERVING, powers(16, 1 << 15), hint="tokens", unit="tok"
)
_STORED = storage.SERVING_PRECISIONS
SERVE_AT = choice(
    "serve_at",
    "precision of the weights",
    one_of(_STORED),
    _STORED,
    SERVING,
    "bf16",
    label="serve at",
)
FP8_CACHE = Option("fp8_cache", switch, "keys and values in one byte each", "off", metavar="")
SPECULATION = Option(
    "speculation", above_zero, "tokens a request gains in a decode step", "1", metavar="S"
)
DISAGGREGATED = Option(
    "disaggregated", switch, "prompts on servers of their own", "off", metavar=""
)
INT4_GROUP = Option(
    "int4_group", count(), "weights that share a scale in int4", str(storage.INT4_GROUP)
)
SERVER_GPUS = (
    Option("gpus", optional(count()), "GPUs that share the model", metavar="N|auto")
    .following("as few as hold it")
    .refused(GPUS.remedy)
)
_LIST = "a,b|all"
SERVER_TYPES = Option("gpu", several, "GPU types; one alone shows more of it", ALL, metavar=_LIST)
SERVER_PRECISIONS = Option("precision", several, "such as bf16, fp8 or int4", ALL, metavar=_LIST)
MEASURED_TYPE = Option(
    "gpu", optional(str.strip), "the GPU type, where its name does not say it", metavar="G"
)
_RUN = TrainingRun()
STEPS = Option("steps", count(), "optimizer steps to run", str(_RUN.steps))
LEARNING_RATE = Option(
    "learning_rate", above_zero, "the peak; it is no advice", str(_RUN.learning_rate), metavar="R"
)
SCRIPT = Option("script", str, "yours, where the engine brings none", _RUN.script, metavar="FILE")

_SERVED_MODEL = replace(MODEL, default="llama-3.1-8b")
_CLUSTER = (GPU, HARDWARE, GPUS, NODE_GPUS, NETWORK, MEMORY)
_LAYOUT = (
    *(DP, TP, PP, VP, CP, EP, EXPERT_TP, MICRO_BATCH, ZERO, DP_SHARD, SEQUENCE_PARALLEL),
    *(RECOMPUTE, SCHEDULE, OFFLOAD, PRECISION, OPTIMIZER),
)
SEARCH_OPTIONS: tuple[Option[object], ...] = (
    *(MODEL, BATCH, SEQUENCE, TOKENS, *_CLUSTER, PRICE, *_LAYOUT, FRAMEWORK, STATES, LOSS, TOP),
    *(*ADAPTER_OPTIONS, *RUN_OPTIONS),
)
"""Of `prodtop plan`."""
COMPARED_GPUS = Option(
    "gpus", counts(MOST_GPUS), "GPUs of the clusters", "1,8,16,32,64", metavar="N,N,..."
)
COMPARE_OPTIONS: tuple[Option[object], ...] = tuple(
    COMPARED_GPUS if option is GPUS else option
    for option in SEARCH_OPTIONS
    if option not in (TOP, *RUN_OPTIONS)
)
"""Of `prodtop plan compare`."""
EXPORT_OPTIONS: tuple[Option[object], ...] = (
    *(_SERVED_MODEL, BATCH, SEQUENCE, *_CLUSTER, *_LAYOUT),
    *(replace(FRAMEWORK, default=AUTO, auto="the engine's"), STEPS, LEARNING_RATE, SCRIPT),
)
"""Of `prodtop plan export`."""
CAPACITY_OPTIONS: tuple[Option[object], ...] = (
    *(_SERVED_MODEL, SERVER_TYPES, HARDWARE, SERVER_GPUS, SERVER_PRECISIONS),
    *(REQUESTS, PROMPT_TOKENS, OUTPUT_TOKENS, FP8_CACHE, INT4_GROUP, PRICE),
    *(SPECULATION, DISAGGREGATED),
)
"""Of `prodtop plan capacity`."""
CALIBRATION_OPTIONS: tuple[Option[object], ...] = (MEASURED_TYPE, HARDWARE)
"""Of `prodtop plan calibrate`."""
_FORM_OPTIONS: tuple[Option[object], ...] = (
    *(*SEARCH_OPTIONS, REQUESTS, PROMPT_TOKENS, OUTPUT_TOKENS, SERVE_AT),
)
FORM: Mapping[str, Line] = {
    option.key: option.line for option in _FORM_OPTIONS if option.line is not None
}
"""The lines of the form by key, from the top."""
BY_KEY: Mapping[str, Option[object]] = {
    option.key: option for option in (*CAPACITY_OPTIONS, *EXPORT_OPTIONS, *_FORM_OPTIONS)
}
