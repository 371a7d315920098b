"""The fields of the planner's form: names, first values, and the steps that a knob takes."""

from dataclasses import dataclass
from functools import cache
from typing import get_args

from ...engine.planner.cost.calibration import default_constants
from ...engine.planner.cost.hardware import PRECISIONS, known_gpus
from ...engine.planner.cost.layout import Offload, Optimizer, Recompute, Schedule
from ...engine.planner.serving_capacity.storage import SERVING_PRECISIONS
from ...engine.shape.presets import PRESETS

SERVED = "served"
"""In the model field: the model that the engine is serving now."""
AUTO = "auto"
"""Where a value follows from the others: the GPU's usual node, its memory, its network."""

LARGEST_CLUSTER = 16_384


@dataclass(frozen=True, slots=True)
class Field:
    """One line of the form. `steps` are what ← and → go through; a `numeric` field is typed into
    at once, others once editing is asked for. `hint` says what may be written."""

    name: str
    label: str
    group: str
    initial: str
    steps: tuple[str, ...]
    hint: str
    unit: str = ""
    numeric: bool = True


def _powers(first: int, last: int) -> tuple[str, ...]:
    steps = []
    while first <= last:
        steps.append(str(first))
        first *= 2
    return tuple(steps)


def _choice(name: str, label: str, group: str, initial: str, steps: object, hint: str) -> Field:
    return Field(name, label, group, initial, _texts(steps), hint, numeric=False)


def _texts(steps: object) -> tuple[str, ...]:
    return tuple(str(step) for step in steps) if isinstance(steps, tuple | list) else ()


WORK, CLUSTER, LAYOUT, SOFTWARE, SERVING = "Training", "Cluster", "Layout", "Software", "Serving"

_TOKENS = ("1B", "10B", "100B", "300B", "1T", "2T", "5T", "10T", "15T", "30T")
_NODES = (AUTO, "1", "2", "4", "8", "16", "32", "72")
_LIMITS = (AUTO, "16", "24", "40", "48", "64", "72", "80", "96", "128", "141", "180", "192")
_NETWORKS = (AUTO, "1.25", "3.125", "6.25", "12.5", "25", "50", "100")
_PRICES = (AUTO, "0.5", "1", "1.5", "2", "2.5", "3", "4", "6", "8", "10")


@cache
def fields() -> tuple[Field, ...]:
    """All fields, in the order of the form."""
    return (
        _choice(
            "model",
            "model",
            WORK,
            "generic-7b",
            (SERVED, *PRESETS),
            "a preset, a count such as 13B, a path to a config.json, or served",
        ),
        Field("batch", "batch", WORK, "256", _powers(1, 16_384), "sequences per step", "seq"),
        Field(
            "sequence", "sequence", WORK, "4096", _powers(512, 1 << 20), "tokens a sequence", "tok"
        ),
        Field("tokens", "train on", WORK, "1T", _TOKENS, "tokens to train on, such as 2T", "tok"),
        _choice(
            "gpu",
            "GPU",
            CLUSTER,
            "h100-sxm",
            (*known_gpus(),),
            "a GPU type, or your own as FILE.toml",
        ),
        Field("gpus", "GPUs", CLUSTER, "32", _powers(1, LARGEST_CLUSTER), "GPUs in all"),
        Field("node", "per node", CLUSTER, AUTO, _NODES, "GPUs joined by fast links, or auto"),
        Field("network", "network", CLUSTER, AUTO, _NETWORKS, "GB/s per GPU between nodes", "GB/s"),
        Field(
            "limit", "mem. limit", CLUSTER, AUTO, _LIMITS, "memory per GPU to stay within", "GiB"
        ),
        Field(
            "price",
            "price",
            CLUSTER,
            AUTO,
            _PRICES,
            "US dollars per GPU and hour; auto: the list price",
            "$/h",
        ),
        Field("tp", "tensor", LAYOUT, "1", _powers(1, 64), "GPUs that split each layer"),
        Field("pp", "pipeline", LAYOUT, "1", _powers(1, 128), "stages that split the layers"),
        Field("vp", "chunks", LAYOUT, "1", _powers(1, 16), "model chunks a stage, interleaved"),
        Field("cp", "context", LAYOUT, "1", _powers(1, 64), "GPUs that split each sequence"),
        Field("ep", "experts", LAYOUT, "1", _powers(1, 256), "GPUs that share out the experts"),
        Field(
            "micro_batch", "micro-batch", LAYOUT, "1", _powers(1, 64), "sequences at a time", "seq"
        ),
        _choice(
            "zero",
            "ZeRO",
            LAYOUT,
            "1",
            ("0", "1", "2", "3"),
            "what replicas share out: 1 optimizer, 2 and gradients, 3 and weights (FSDP)",
        ),
        Field(
            "shard",
            "shard over",
            LAYOUT,
            "all",
            ("all", *_powers(2, 512)),
            "ranks that share one sharded copy: fewer than all is hybrid sharding",
        ),
        _choice(
            "sequence_parallel",
            "seq. split",
            LAYOUT,
            AUTO,
            (AUTO, "on", "off"),
            "sequence parallelism beside tensor parallelism; auto: where there is any",
        ),
        _choice(
            "recompute",
            "recompute",
            LAYOUT,
            "none",
            get_args(Recompute),
            "activations computed again in the backward pass",
        ),
        _choice(
            "schedule", "schedule", LAYOUT, "1f1b", get_args(Schedule), "order of micro-batches"
        ),
        _choice("offload", "offload", LAYOUT, "none", get_args(Offload), "to the host's memory"),
        _choice("precision", "precision", SOFTWARE, "bf16", PRECISIONS, "of the matrix products"),
        _choice("optimizer", "optimizer", SOFTWARE, "adamw", get_args(Optimizer), "states to keep"),
        _choice(
            "software",
            "framework",
            SOFTWARE,
            "megatron-core",
            (*default_constants().software,),
            "whose kernels and habits",
        ),
        Field("requests", "requests", SERVING, "32", _powers(1, 4096), "in flight at a time"),
        Field("prompt", "prompt", SERVING, "512", _powers(16, 1 << 17), "tokens", "tok"),
        Field("output", "output", SERVING, "256", _powers(16, 1 << 15), "tokens", "tok"),
        _choice(
            "serve_at", "serve at", SERVING, "bf16", SERVING_PRECISIONS, "precision of the weights"
        ),
    )


@cache
def by_name() -> dict[str, Field]:
    return {field.name: field for field in fields()}
