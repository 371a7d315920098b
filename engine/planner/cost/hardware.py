"""GPUs, their links and the cluster they form: what the vendors state, from `hardware.toml`.

Everything is in bytes and bytes per second, links per GPU and per direction. What a GPU reaches of
these figures is the calibration's business (`calibration.py`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from reprlib import Repr
from typing import Literal, get_args

from ...files.toml_text import UnreadableTomlError, parse_toml, read_toml_text
from ...shape.field_errors import FieldError, positive, positive_number
from ...text.cleaning import clean
from .gpu_names import find_name, nearest_names

Precision = Literal[
    "bf16", "fp16", "fp8", "fp8-rowwise", "fp8-block", "mxfp8", "nvfp4", "fp32", "tf32"
]
"""`fp8` alone has one scale a tensor; what the others cost is in `calibration.toml`."""
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
_PEAKS = ("bf16", "fp16", "fp8", "fp4", "fp32", "tf32")


@dataclass(frozen=True, kw_only=True)
class Gpu:
    """One GPU type in its customary node.

    `link_bytes_s` is the link between GPUs of a node, `network_bytes_s` the NIC of one GPU, both
    per direction. `peak_flops` are dense; a precision of 0 is one that the GPU does not have, a
    `power_w` of 0 is not stated. `names`: see `gpu_names`. `generation`: architecture, empty for
    one of the user's own. `note`: what a plan must say of it.
    """

    key: str
    name: str
    memory_bytes: float
    sms: int
    hbm_bytes_s: float
    link_bytes_s: float
    node_gpus: int
    network_bytes_s: float
    power_w: float
    bf16_flops: float
    fp16_flops: float
    fp8_flops: float
    fp4_flops: float
    fp32_flops: float
    tf32_flops: float
    source: str
    generation: str
    names: str
    note: str

    def peak_flops(self, precision: Precision) -> float:
        """Dense FLOP/s at `precision`; raises `FieldError` where the GPU has no such unit."""
        value = {
            "bf16": self.bf16_flops,
            "fp16": self.fp16_flops,
            "fp8": self.fp8_flops,
            "fp8-rowwise": self.fp8_flops,
            "fp8-block": self.fp8_flops,
            # The scales of 32 elements came with the units for fp4.
            "mxfp8": self.fp8_flops if self.fp4_flops else 0.0,
            "nvfp4": self.fp4_flops,
            "fp32": self.fp32_flops,
            "tf32": self.tf32_flops,
        }[precision]
        if not value:
            raise FieldError("precision", f"{self.name} has no {precision} units")
        return value


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """`gpus` GPUs of one type, `node_gpus` of them to a node with fast links."""

    gpu: Gpu
    gpus: int
    node_gpus: int

    def __post_init__(self) -> None:
        positive("gpus", self.gpus)
        positive("gpus per node", self.node_gpus)

    @property
    def nodes(self) -> int:
        """Nodes, the last one perhaps not full."""
        return -(-self.gpus // self.node_gpus)


def cluster(
    gpu: Gpu,
    gpus: int,
    *,
    node_gpus: int | None = None,
    network_bytes_s: float | None = None,
) -> Cluster:
    """A cluster of `gpus` GPUs, with the GPU type's customary node and network unless stated."""
    if network_bytes_s is not None:
        gpu = replace(gpu, network_bytes_s=positive_number("network", network_bytes_s))
    return Cluster(gpu=gpu, gpus=gpus, node_gpus=node_gpus or gpu.node_gpus)


@cache
def known_gpus() -> Mapping[str, Gpu]:
    """The GPUs of the packaged `hardware.toml`, by key."""
    text = files(__package__).joinpath("hardware.toml").read_text(encoding="utf-8")
    return parse_gpus(text, "hardware.toml")


def load_gpus(path: Path) -> Mapping[str, Gpu]:
    """The GPUs of the user's own TOML file, in the form of the packaged one.

    Raises:
        FieldError: the file cannot be read, or a value is missing or absurd.
    """
    try:
        text = read_toml_text(path)
    except FileNotFoundError:
        raise FieldError("hardware file", f"{path}: cannot be read: no such file") from None
    except UnreadableTomlError as error:
        raise FieldError("hardware file", f"{path}: {error}") from error
    return parse_gpus(text, str(path))


def parse_gpus(text: str, source: str) -> Mapping[str, Gpu]:
    """Read GPU tables from TOML `text`; `source` names it in errors. Raises `FieldError`."""
    try:
        tables = parse_toml(text)
    except UnreadableTomlError as error:
        raise FieldError("hardware file", f"{source}: not valid TOML: {error}") from error
    gpus: dict[str, Gpu] = {}
    merged: dict[str, dict[str, object]] = {}
    for name, table in tables.items():
        key = clean(name)
        if not isinstance(table, dict):
            raise FieldError(key, f"{source}: must be a table of one GPU's figures")
        base = str(table.get("like", ""))
        if "like" in table and base not in merged:
            raise FieldError(f"{key}.like", f"{source}: no earlier table has that name")
        merged[name] = {**merged.get(base, {}), **table}
        gpus[key] = _parse_gpu(key, merged[name], source)
    return gpus


def find_gpu(name: str, extra: Mapping[str, Gpu] | None = None) -> Gpu:
    """The GPU that `name` means, by key or by any customary way to write it.

    The user's own GPUs (`extra`) come first. Raises `FieldError` naming the nearest ones.
    """
    gpus = {**known_gpus(), **(extra or {})}
    names = {key: gpu.names for key, gpu in gpus.items()}
    key = name if name in gpus else find_name(name, names)
    if key is None:
        near = ", ".join(nearest_names(name, names))
        raise FieldError("gpu", f"unknown GPU {clean(name)!r}; nearest are {near}")
    return gpus[key]


LARGEST_FIGURE = 1e21
"""Above all figures of a GPU, which computes 1e16 FLOP/s."""
_SHORT = Repr()
"""Shows a wrong value in an error of one line, whatever its length."""
_SHORT.maxother = 60


def _figure(field: str, value: object, source: str) -> float:
    """A number that a GPU can have, in its unit; raises `FieldError` else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise FieldError(field, f"{source}: must be a number, found {_SHORT.repr(value)}")
    if not 1 <= value <= LARGEST_FIGURE:
        raise FieldError(field, f"{source}: must be a number from 1 to {LARGEST_FIGURE:g}")
    return float(value)


def _parse_gpu(key: str, table: Mapping[str, object], source: str) -> Gpu:
    def number(field: str) -> float:
        value = table.get(field)
        return _figure(f"{key}.{field}", value, source)

    def count(field: str) -> int:
        value = number(field)
        if value != int(value):
            raise FieldError(f"{key}.{field}", f"{source}: must be a whole number, found {value}")
        return positive(f"{key}.{field}", int(value))

    peak = table.get("peak")
    if not isinstance(peak, dict) or not peak:
        raise FieldError(f"{key}.peak", f"{source}: must be a table of FLOP/s per precision")
    for precision, value in peak.items():
        if precision not in _PEAKS:
            known = ", ".join(_PEAKS)
            raise FieldError(f"{key}.peak", f"unknown precision {precision!r} (known: {known})")
        _figure(f"{key}.peak.{precision}", value, source)
    return Gpu(
        key=key,
        name=clean(str(table.get("name", key))),
        memory_bytes=number("memory_bytes"),
        sms=count("sms"),
        hbm_bytes_s=number("hbm_bytes_s"),
        link_bytes_s=number("link_bytes_s"),
        node_gpus=count("node_gpus"),
        network_bytes_s=number("network_bytes_s"),
        power_w=number("power_w") if "power_w" in table else 0.0,
        bf16_flops=float(peak.get("bf16", 0.0)),
        fp16_flops=float(peak.get("fp16", 0.0)),
        fp8_flops=float(peak.get("fp8", 0.0)),
        fp4_flops=float(peak.get("fp4", 0.0)),
        fp32_flops=float(peak.get("fp32", 0.0)),
        tf32_flops=float(peak.get("tf32", 0.0)),
        source=clean(str(table.get("source", source))),
        generation=clean(str(table.get("generation", ""))),
        names=str(table.get("names", "")),
        note=clean(str(table.get("note", ""))),
    )
