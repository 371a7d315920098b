"""Reads the form: every field by itself, then what they make together. Errors keep their field."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from ...engine.planner.calibration import Software, default_constants
from ...engine.planner.constraints import OFFLOADS, OPTIMIZERS, RECOMPUTES, SCHEDULES
from ...engine.planner.derive import shape_from_parameters
from ...engine.planner.errors import FieldError, positive
from ...engine.planner.hardware import (
    PRECISIONS,
    Cluster,
    Gpu,
    Precision,
    cluster,
    find_gpu,
    load_gpus,
)
from ...engine.planner.hf_config import load_shape
from ...engine.planner.layout import Layout, Offload, Optimizer, Recompute, Schedule, check_layout
from ...engine.planner.memory import GIB
from ...engine.planner.model import ModelShape
from ...engine.planner.presets import preset
from ...engine.planner.serving_capacity.server import Load
from ...engine.planner.serving_capacity.storage import SERVING_PRECISIONS, Storage, storage_of
from ...engine.planner.setting import Setting
from .fields import AUTO, SERVED, by_name
from .knowledge import Knowledge
from .numbers import parse_amount, parse_whole

MOST_GPUS = 1 << 20
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
_Choice = TypeVar("_Choice", bound=str)


def read(texts: Mapping[str, str], known: Knowledge | None = None, touched: str = "") -> Reading:
    """What `texts` ask for, with what is `known` beside them.

    `touched` is the field that was changed last: where fields disagree it gets the blame.
    """
    known = known or Knowledge()
    errors: dict[str, str] = {}

    def take(name: str, parse: Callable[[str], _Value], otherwise: _Value) -> _Value:
        try:
            return parse(texts[name])
        except FieldError as error:
            errors[name] = error.reason
        except ValueError as error:
            errors[name] = str(error)
        return otherwise

    gpu = take("gpu", _gpu, find_gpu("h100-sxm"))
    gpus = take("gpus", _gpus, 1)
    node = take("node", _optional(parse_whole), None)
    network = take("network", _optional(parse_amount), None)
    model = take("model", lambda text: read_model(text, known.served), preset("generic-1b"))
    sequence = take("sequence", _whole, 1)
    batch = take("batch", _whole, 1)
    tokens = take("tokens", _above_zero, 1.0)
    limit = take("limit", _optional(_above_zero), None)
    price = take("price", _optional(_above_zero), None)
    serving = Load(
        requests=take("requests", _whole, 1),
        prompt_tokens=take("prompt", _whole, 1),
        output_tokens=take("output", _whole, 1),
    )
    storage = storage_of(take("serve_at", _one_of(SERVING_PRECISIONS), "bf16"))
    degrees = {
        name: take(name, _whole, 1) for name in ("tp", "pp", "vp", "cp", "ep", "micro_batch")
    }
    zero = take("zero", _zero, 0)
    shard = take("shard", _shard, 0)
    split = take("sequence_parallel", _one_of((AUTO, "on", "off")), AUTO)
    recompute: Recompute = take("recompute", _one_of(RECOMPUTES), "none")
    schedule: Schedule = take("schedule", _one_of(SCHEDULES), "1f1b")
    offload: Offload = take("offload", _one_of(OFFLOADS), "none")
    precision: Precision = take("precision", _one_of(PRECISIONS), "bf16")
    optimizer: Optimizer = take("optimizer", _one_of(OPTIMIZERS), "adamw")
    software = take("software", _software, default_constants().profile("torch-compile"))
    if errors:
        return Reading(None, errors)
    try:
        where = cluster(
            gpu,
            gpus,
            node_gpus=node,
            network_bytes_s=None if network is None else network * GB_S,
        )
        dp, micro_batches = _replicas(gpus, batch, degrees)
        tp, per_rank = degrees["tp"], sequence // degrees["cp"]
        layout = Layout(
            dp=dp,
            micro_batches=micro_batches,
            zero=zero,
            dp_shard=shard,
            sequence_parallel=split == "on" or (split == AUTO and tp > 1 and per_rank % tp == 0),
            recompute=recompute,
            schedule=schedule,
            offload=offload,
            precision=precision,
            optimizer=optimizer,
            tp=degrees["tp"],
            pp=degrees["pp"],
            vp=degrees["vp"],
            cp=degrees["cp"],
            ep=degrees["ep"],
            micro_batch=degrees["micro_batch"],
        )
        check_layout(layout, model, where, sequence, batch)
        calibration = known.saved.calibrations.get(gpu.key) if known.saved is not None else None
        setting = Setting(
            model=model,
            cluster=where,
            sequence=sequence,
            software=software,
            calibration=calibration,
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
    return load_shape(file)


def _replicas(gpus: int, batch: int, degrees: Mapping[str, int]) -> tuple[int, int]:
    """How many replicas the cluster holds, and how many micro-batches each runs in a step."""
    tp, pp, cp, micro = (degrees[name] for name in ("tp", "pp", "cp", "micro_batch"))
    split = tp * pp * cp
    if gpus % split:
        factors = f"tensor {tp} × pipeline {pp} × context {cp}"
        raise FieldError("dp", f"{gpus} GPUs do not split by {factors}")
    dp = gpus // split
    if batch % (dp * micro):
        reason = f"{batch} sequences do not split into {dp} replicas × micro-batches of {micro}"
        raise FieldError("batch", reason)
    return dp, batch // (dp * micro)


def _gpu(text: str) -> Gpu:
    """A GPU type by name, or the first of the user's own TOML file (`FILE:KEY` for another)."""
    name, _, key = text.strip().rpartition(".toml")
    if not name:
        return find_gpu(text.strip())
    own = load_gpus(Path(f"{name}.toml").expanduser())
    if not own:
        raise ValueError("the file has no GPU")
    return find_gpu(key.lstrip(":"), own) if key else next(iter(own.values()))


def _gpus(text: str) -> int:
    value = _whole(text)
    if value > MOST_GPUS:
        raise ValueError(f"more than {MOST_GPUS} GPUs are not planned for")
    return value


def _whole(text: str) -> int:
    try:
        return positive("value", parse_whole(text))
    except ValueError as error:
        raise ValueError(f"must be a whole number, found {text!r}") from error


def _above_zero(text: str) -> float:
    try:
        value = parse_amount(text)
    except ValueError as error:
        raise ValueError(f"must be a number, found {text!r}") from error
    if value <= 0:
        raise ValueError("must be above 0")
    return value


def _optional(parse: Callable[[str], _Value]) -> Callable[[str], _Value | None]:
    return lambda text: None if text.strip().lower() == AUTO else parse(text)


def _one_of(choices: tuple[_Choice, ...]) -> Callable[[str], _Choice]:
    def parse(text: str) -> _Choice:
        for choice in choices:
            if str(choice) == text.strip().lower():
                return choice
        raise ValueError(f"one of {', '.join(map(str, choices))}")

    return parse


def _zero(text: str) -> int:
    return int(_one_of(("0", "1", "2", "3"))(text))


def _shard(text: str) -> int:
    return 0 if text.strip().lower() == "all" else _whole(text)


def _software(text: str) -> Software:
    return default_constants().profile(text.strip())
