"""Reads the form: every field by itself, then what they make together. Errors keep their field."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from ...engine.planner.cost.calibration import default_constants
from ...engine.planner.cost.hardware import PRECISIONS, Cluster, Precision, cluster, find_gpu
from ...engine.planner.cost.layout import (
    Layout,
    Offload,
    Optimizer,
    Recompute,
    Schedule,
    check_layout,
)
from ...engine.planner.cost.memory import GIB
from ...engine.planner.cost.setting import Setting
from ...engine.planner.search.constraints import OFFLOADS, OPTIMIZERS, RECOMPUTES, SCHEDULES
from ...engine.planner.serving_capacity.server import Load
from ...engine.planner.serving_capacity.storage import SERVING_PRECISIONS, Storage, storage_of
from ...engine.protocol.errors import CheckpointError
from ...engine.shape.config_json import load_shape
from ...engine.shape.derived import shape_from_parameters
from ...engine.shape.field_errors import FieldError
from ...engine.shape.model_shape import ModelShape
from ...engine.shape.presets import preset
from . import values
from .fields import AUTO, SERVED, by_name
from .knowledge import Knowledge
from .numbers import parse_amount

GB_S = 1e9


@dataclass(frozen=True, slots=True)
class Plan:
    """What the form asks for: a model on a cluster under a layout, and what it is judged by.

    `tokens` to train on in all; `limit_bytes` of memory per GPU to stay within; `price` in US
    dollars per GPU and hour where there is one; `serving` and `storage` are the load and the
    precision to serve the model with.
    """

    setting: Setting
    layout: Layout
    batch: int
    tokens: float
    limit_bytes: float
    price: float | None
    serving: Load
    storage: Storage

    @property
    def model(self) -> ModelShape:
        return self.setting.model

    @property
    def cluster(self) -> Cluster:
        return self.setting.cluster


@dataclass(frozen=True, slots=True)
class Reading:
    """What the form's texts mean: the plan, or for each wrong field why it is."""

    plan: Plan | None
    errors: Mapping[str, str]


_Value = TypeVar("_Value")


@dataclass(slots=True)
class _Take:
    """Reads one field after the other, and keeps why each wrong one is."""

    texts: Mapping[str, str]
    errors: dict[str, str] = field(default_factory=dict)

    def __call__(self, name: str, parse: Callable[[str], _Value], otherwise: _Value) -> _Value:
        try:
            return parse(self.texts[name])
        except FieldError as error:
            self.errors[name] = error.reason
        except ValueError as error:
            self.errors[name] = str(error)
        return otherwise

    def count(self, name: str) -> int:
        return self(name, values.whole, 1)


def read(texts: Mapping[str, str], known: Knowledge | None = None, touched: str = "") -> Reading:
    """What `texts` ask for, with what is `known` beside them.

    `touched` is the field that was changed last: where fields disagree it gets the blame.
    """
    known = known or Knowledge()
    take = _Take(texts)
    gpu, gpus = take("gpu", values.gpu, find_gpu("h100-sxm")), take("gpus", values.gpus, 1)
    node = take("node", values.optional(values.whole), None)
    network = take("network", values.optional(values.above_zero), None)
    model = take("model", lambda text: read_model(text, known.served), preset("generic-1b"))
    software = take("software", values.software, default_constants().profile("megatron-core"))
    sequence, batch = take.count("sequence"), take("batch", values.batch, 1)
    tokens = take("tokens", values.above_zero, 1.0)
    limit = take("limit", values.optional(values.above_zero), None)
    price = take("price", values.optional(values.above_zero), None)
    split = take("sequence_parallel", values.one_of((AUTO, "on", "off")), AUTO)
    layout, (serving, storage) = _layout(take), _serving(take)
    if take.errors:
        return Reading(None, take.errors)
    try:
        network_bytes_s = None if network is None else network * GB_S
        where = cluster(gpu, gpus, node_gpus=node, network_bytes_s=network_bytes_s)
        layout = _completed(layout, gpus, batch, sequence, split)
        check_layout(layout, model, where, sequence, batch)
        setting = Setting(
            model=model,
            cluster=where,
            sequence=sequence,
            software=software,
            calibration=known.calibrations.get(gpu.key),
        )
    except FieldError as error:
        return Reading(None, {blamed(error.field, touched): error.reason})
    listed = known.prices.get(gpu.key)
    plan = Plan(
        setting=setting,
        layout=layout,
        batch=batch,
        tokens=tokens,
        limit_bytes=gpu.memory_bytes if limit is None else limit * GIB,
        price=listed.usd_per_hour if price is None and listed is not None else price,
        serving=serving,
        storage=storage,
    )
    return Reading(plan, {})


def _layout(take: _Take) -> Layout:
    """The layout as far as the form says it: replicas and micro-batches follow."""
    recompute: Recompute = take("recompute", values.one_of(RECOMPUTES), "none")
    schedule: Schedule = take("schedule", values.one_of(SCHEDULES), "1f1b")
    offload: Offload = take("offload", values.one_of(OFFLOADS), "none")
    precision: Precision = take("precision", values.one_of(PRECISIONS), "bf16")
    optimizer: Optimizer = take("optimizer", values.one_of(OPTIMIZERS), "adamw")
    return Layout(
        tp=take.count("tp"),
        pp=take.count("pp"),
        vp=take.count("vp"),
        cp=take.count("cp"),
        ep=take.count("ep"),
        micro_batch=take.count("micro_batch"),
        zero=take("zero", values.zero, 0),
        dp_shard=take("shard", values.shard, 0),
        recompute=recompute,
        schedule=schedule,
        offload=offload,
        precision=precision,
        optimizer=optimizer,
    )


def _serving(take: _Take) -> tuple[Load, Storage]:
    load = Load(
        requests=take.count("requests"),
        prompt_tokens=take.count("prompt"),
        output_tokens=take.count("output"),
    )
    return load, storage_of(take("serve_at", values.one_of(SERVING_PRECISIONS), "bf16"))


def _completed(layout: Layout, gpus: int, batch: int, sequence: int, split: str) -> Layout:
    """With the replicas that the cluster holds, and the micro-batches that each runs in a step."""
    tp, pp, cp, micro = layout.tp, layout.pp, layout.cp, layout.micro_batch
    if gpus % (tp * pp * cp):
        factors = f"tensor {tp} × pipeline {pp} × context {cp}"
        raise FieldError("dp", f"{gpus} GPUs do not split by {factors}")
    dp = gpus // (tp * pp * cp)
    if batch % (dp * micro):
        reason = f"{batch} sequences do not split into {dp} replicas × micro-batches of {micro}"
        raise FieldError("batch", reason)
    splits = split == "on" or (split == AUTO and tp > 1 and sequence // cp % tp == 0)
    micro_batches = batch // (dp * micro)
    return replace(layout, dp=dp, micro_batches=micro_batches, sequence_parallel=splits)


_TOGETHER = {
    "dp": ("gpus", "tp", "pp", "cp"),
    "batch": ("batch", "micro_batch", "gpus", "tp", "pp", "cp"),
    "dp_shard": ("shard", "gpus", "tp", "pp", "cp"),
    "gpus per node": ("node",),
    "network": ("network",),
    "ep": ("ep", "model", "gpus"),
    "tp": ("tp", "model", "sequence", "cp"),
    "pp": ("pp", "vp", "model"),
    "cp": ("cp", "sequence"),
    "vp": ("vp", "pp", "schedule"),
    "precision": ("precision", "gpu"),
    "zero": ("zero", "schedule", "pp"),
    "sequence_parallel": ("sequence_parallel", "tp"),
}
"""The fields of the form that a refusal of the planner may come from, the likeliest first."""


def blamed(field: str, touched: str) -> str:
    """The field of the form to mark for what the planner calls `field`."""
    candidates = _TOGETHER.get(field, (field,))
    if touched in candidates:
        return touched
    return candidates[0] if candidates[0] in by_name() else "model"


def read_model(text: str, served: ModelShape | None) -> ModelShape:
    """A preset, a parameter count, a `config.json` (or its folder), or the served model.

    Raises `FieldError` saying what is wrong.
    """
    plain = text.strip()
    if plain.lower() == SERVED:
        if served is None:
            raise FieldError("model", "no engine is serving yet")
        return served
    if plain.endswith(".json") or os.sep in plain or plain.startswith(("~", ".")):
        return _config(plain)
    try:
        count = parse_amount(plain)
    except ValueError:
        return preset(plain)
    return shape_from_parameters(count)


def _config(text: str) -> ModelShape:
    try:
        path = Path(text).expanduser()
        file = path / "config.json" if path.is_dir() else path
        changed_ns = file.stat().st_mtime_ns
    except (OSError, ValueError, RuntimeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no such file"
        raise FieldError("model", f"cannot be read: {reason}") from error
    return _loaded(file, changed_ns)


@lru_cache(maxsize=8)
def _loaded(file: Path, changed_ns: int) -> ModelShape:
    """The file is read anew only when it has changed: the form is read at every key."""
    try:
        return load_shape(file)
    except CheckpointError as error:
        raise FieldError("model", str(error)) from error
