"""What the options of `prodtop plan` ask: a setting and what its search must keep to."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TypeVar

import msgspec

from ...engine.planner.calibrate.saved import load_saved
from ...engine.planner.cost.calibration import default_constants
from ...engine.planner.cost.hardware import PRECISIONS, Cluster, cluster, find_gpu, load_gpus
from ...engine.planner.cost.memory import GIB
from ...engine.planner.cost.setting import Setting
from ...engine.planner.search.constraints import (
    OFFLOADS,
    OPTIMIZERS,
    RECOMPUTES,
    SCHEDULES,
    Constraints,
)
from ...engine.planner.search.search import Limiting
from ...engine.protocol.errors import BadInputError
from ...engine.shape.field_errors import FieldError, positive
from ...engine.text.cleaning import clean
from ..planner.numbers import parse_amount, parse_whole
from ..planner.reading import read_model
from .arguments import check_positive

SEQUENCES_PER_GPU = 8
"""Of the global batch, unless it is given."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The options as they were given; `None` is left open. See `plan_arguments`."""

    model: str
    gpu: str
    gpus: int
    batch: int | None
    sequence: str
    tokens: str | None
    precision: str
    optimizer: str
    memory_gib: float | None
    framework: str
    hardware: str | None
    node_gpus: int | None
    network_gb_s: float | None
    price: float | None
    dp: int | None
    tp: int | None
    pp: int | None
    vp: int | None
    cp: int | None
    ep: int | None
    expert_tp: int
    zero: int | None
    dp_shard: int | None
    micro_batch: int | None
    recompute: str | None
    schedule: str | None
    offload: str
    sequence_parallel: bool | None
    top: int


@dataclass(frozen=True, kw_only=True)
class Question:
    """A setting, a search's constraints, and what training is to come to.

    tokens: to train on in all. price: of a GPU for an hour. origin: which constants are used.
    """

    setting: Setting
    constraints: Constraints
    tokens: float | None
    price: float | None
    origin: str


def asked_with(options: Mapping[str, object]) -> Asked:
    """The options of a command line, by the names of their parameters."""
    names = {field.name for field in fields(Asked)}
    return msgspec.convert({name: options[name] for name in names}, type=Asked)


def read_question(asked: Asked) -> Question:
    """What `asked` means.

    Raises:
        BadInputError: a value that cannot be planned with, naming its option.
    """
    check_positive("--price", asked.price)
    check_positive("--memory-gib", asked.memory_gib)
    check_positive("--network-gb-s", asked.network_gb_s)
    model = _reading("--model", lambda: read_model(asked.model, None))
    machines = _cluster(asked)
    software = _reading("--framework", lambda: default_constants().profile(asked.framework))
    saved = _reading("the saved calibration", load_saved)
    gpu = machines.gpu.key
    calibration = saved.calibrations.get(gpu)
    sequence = _number("--sequence", asked.sequence, parse_whole)
    tokens = None if asked.tokens is None else _number("--tokens", asked.tokens, parse_amount)
    check_positive("--tokens", tokens)
    setting = _reading(
        "--sequence",
        lambda: Setting(
            model=model,
            cluster=machines,
            sequence=sequence,
            software=software,
            calibration=calibration,
        ),
    )
    return Question(
        setting=setting,
        constraints=_constraints(asked),
        tokens=tokens,
        price=asked.price,
        origin=saved.origin(gpu),
    )


def refusal(reason: Limiting | FieldError) -> BadInputError:
    """The error for what no layout can be found with: its option, the reason, and a way on."""
    option = option_of(reason.field)
    way = _WAYS.get(option, "choose another, or leave it out to have it searched")
    return BadInputError(f"{option}: {clean(reason.reason)}; {way}")


def option_of(field: str) -> str:
    """The option that the planner's `field` comes from."""
    return _OPTIONS.get(field, "--" + field.replace("_", "-"))


_OPTIONS = {
    "memory": "--memory-gib",
    "gpus per node": "--node-gpus",
    "network": "--network-gb-s",
    "hardware file": "--hardware",
    "software": "--framework",
    "least_dp": "--gpus",
    "least_tp": "--gpus",
    "least_pp": "--gpus",
    "keep": "--top",
}
_WAYS = {
    "--gpus": "give another number of GPUs",
    "--batch": "give a batch that the replicas share evenly, or another --gpus",
    "--sequence": "give a number of tokens, such as 8k",
    "--model": "give a preset, a config.json or a parameter count such as 7B",
    "--precision": "choose another precision or GPU",
    "--gpu": "or describe yours with --hardware FILE",
    "--hardware": "correct the file",
    "--framework": "choose one of them",
    "--memory-gib": "give a larger limit or more GPUs",
    "--node-gpus": "give a positive whole number",
    "--optimizer": "choose one of them",
    "--offload": "choose one of them",
    "--schedule": "choose one of them, or leave it out",
    "--recompute": "choose one of them, or leave it out to have it searched",
}

_Value = TypeVar("_Value")
_Name = TypeVar("_Name", bound=str)


def _reading(option: str, read: Callable[[], _Value]) -> _Value:
    """What `read` returns; its refusal becomes one of `option`."""
    try:
        return read()
    except FieldError as error:
        # A field within a file or a name keeps its own name, so that it can be found.
        inside = error.field not in ("model", "gpu", "software", "sequence", option[2:])
        words = str(error) if inside else error.reason
        raise refusal(Limiting(field=option[2:], reason=words)) from error


def _number(option: str, text: str, parse: Callable[[str], _Value]) -> _Value:
    try:
        return parse(text)
    except ValueError as error:
        raise BadInputError(
            f"{option} '{clean(text)}' is no number: give one such as 4096"
        ) from error


def _cluster(asked: Asked) -> Cluster:
    extra = (
        None
        if asked.hardware is None
        else _reading("--hardware", lambda: load_gpus(Path(asked.hardware or "").expanduser()))
    )
    gpu = _reading("--gpu", lambda: find_gpu(asked.gpu, extra))
    network = None if asked.network_gb_s is None else asked.network_gb_s * 1e9

    def build() -> Cluster:
        positive("gpus", asked.gpus)
        if asked.node_gpus is not None:
            positive("gpus per node", asked.node_gpus)
        return cluster(gpu, asked.gpus, node_gpus=asked.node_gpus, network_bytes_s=network)

    try:
        return build()
    except FieldError as error:
        raise refusal(error) from error


def _constraints(asked: Asked) -> Constraints:
    memory = None if asked.memory_gib is None else asked.memory_gib * GIB
    try:
        return Constraints(
            batch=SEQUENCES_PER_GPU * asked.gpus if asked.batch is None else asked.batch,
            memory_bytes=memory,
            precision=_named("precision", asked.precision, PRECISIONS),
            optimizer=_named("optimizer", asked.optimizer, OPTIMIZERS),
            offload=_named("offload", asked.offload, OFFLOADS),
            dp=asked.dp,
            tp=asked.tp,
            pp=asked.pp,
            vp=asked.vp,
            cp=asked.cp,
            ep=asked.ep,
            expert_tp=asked.expert_tp,
            zero=asked.zero,
            dp_shard=asked.dp_shard,
            sequence_parallel=asked.sequence_parallel,
            micro_batch=asked.micro_batch,
            recompute=_maybe_named("recompute", asked.recompute, RECOMPUTES),
            schedule=_maybe_named("schedule", asked.schedule, SCHEDULES),
            keep=asked.top,
        )
    except FieldError as error:
        raise refusal(error) from error


def _named(field: str, text: str, known: tuple[_Name, ...]) -> _Name:
    """The name among `known` that `text` is; raises `FieldError` with all of them."""
    for name in known:
        if name == text.strip().lower():
            return name
    raise FieldError(field, f"unknown '{text}', known are {', '.join(known)}")


def _maybe_named(field: str, text: str | None, known: tuple[_Name, ...]) -> _Name | None:
    return None if text is None else _named(field, text, known)
