"""What GPUs and software reach of what the vendors state: the constants of `calibration.toml`.

Two kinds of record, both flat and frozen so that an estimate can keep them at hand:
`Calibration`, one per GPU type, is physics of the machine, and what `prodtop plan calibrate`
measures; `Software`, one per generation of training frameworks, is what the program does with it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import TypeVar

import msgspec

from ...files.toml_text import UnreadableTomlError, parse_toml
from ...shape.field_errors import FieldError


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Constants of one GPU type; efficiencies are fractions of what the vendor states.

    A matrix product takes `flops / (peak · gemm_*)` plus the share `gemm_wave` of one wave of tiles
    over all SMs (the last wave is rarely full), but no less than its bytes at `hbm` need, plus
    `kernel_s`. Collectives take `alpha` per step plus `bytes / (bandwidth · efficiency)`.
    """

    gemm_bf16: float
    gemm_fp8: float
    gemm_wave: float
    hbm: float
    kernel_s: float
    attention_flash1: float
    attention_flash2: float
    attention_flash3: float
    link: float
    link_alpha_s: float
    network: float
    network_alpha_s: float


@dataclass(frozen=True, kw_only=True)
class Software:
    """What a generation of training frameworks does per layer, per step and between GPUs.

    attention: the core attention kernel, "unfused" (scores in memory) or a flash generation.
    elementwise: passes over memory, relative to one read and write per fused operation.
    logit_bytes: bytes moved per logit by the loss, forward and backward.
    layer_kernels: kernels launched per layer and forward pass; a backward pass launches twice as
        many. dispatch_s: host time per kernel; a layer takes no less than its dispatch.
    tp_overlap, dp_overlap: share of that communication that runs beside computation when there is
        enough of it. grad_bytes: bytes per gradient element on the wire. param_bytes: the same for
        gathered parameters.
    gradient_bytes, moment_bytes: bytes that a gradient and each of Adam's moments take in memory.
    layer_gathers: collectives per layer that gather parameters or scatter gradients.
    gather_rate: share of the network that these reach of what NCCL does with large messages.
    regather: sequence parallelism gathers a block's input again for its backward pass.
    tensor_s: host time of an optimizer step per parameter tensor on a rank.
    logit_copies: bytes of memory per logit at the peak.
    fp8_weight_bytes: of a weight where products are in fp8: 1 where no bf16 copy is kept.
    fp8_inputs: what is kept of products' inputs for the backward pass is their fp8 form.
    ulysses: context ranks exchange heads for tokens, so that attention stays whole; else a ring.
    ring_penalty: what a ring's pieces take longer than one kernel, per doubling of the ranks.
    moe_kernels, expert_kernels: launches of a MoE layer's forward pass for routing, permutation and
        dispatch, and for each local expert. expert_overlap: share of the exchange that is hidden.
    adapter_bytes: moved per element that an adapter reads or adds to, forward.
    sharded_dispatch_s: as dispatch_s where tensors are split, if that takes longer.
    unfused_update: Adam runs over all tensors at once, and makes temporary ones.
    split_sends: tensor ranks send a part of the activations each to the next stage.
    op_recompute: selective recomputation keeps every second product, not all but attention.
    partial_recompute: full recomputation can be had in some of a stage's layers.
    step_s: what every step costs beside all this (data, logging, gradient norm, synchronisation).
    straggler: slowdown per doubling of the nodes.
    """

    name: str
    label: str
    attention: str
    elementwise: float
    logit_bytes: float
    layer_kernels: float
    dispatch_s: float
    tp_overlap: float
    dp_overlap: float
    grad_bytes: float
    param_bytes: float
    fp8_cast: float
    step_s: float
    straggler: float
    op_recompute: bool = False
    partial_recompute: bool = False
    split_sends: bool = True
    gradient_bytes: float = 4.0
    moment_bytes: float = 4.0
    layer_gathers: float = 1.0
    gather_rate: float = 1.0
    regather: bool = True
    logit_copies: float = 10.0
    fp8_weight_bytes: float = 2.0
    fp8_inputs: bool = False
    ulysses: bool = False
    ring_penalty: float = 0.0
    moe_kernels: float = 175.0
    expert_kernels: float = 11.7
    expert_overlap: float = 0.0
    adapter_bytes: float = 4.0
    sharded_dispatch_s: float = 0.0
    unfused_update: bool = False
    tensor_s: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Universal:
    """Constants that hold for every GPU and framework, each with its reason in the file."""

    attention_backward: float
    attention_half_tokens: float
    attention_unfused: float
    head_dim_half: float
    expert_gemm: float
    optimizer_bytes: float
    contention: float


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Products in 8 or 4 bits: `gemm` of the plain rate, `cast` times the bytes of fp8's casts."""

    gemm: float
    cast: float


@dataclass(frozen=True)
class Constants:
    """All of `calibration.toml`."""

    universal: Universal
    gpus: Mapping[str, Calibration]
    software: Mapping[str, Software]
    releases: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    recipes: Mapping[str, Recipe] = field(default_factory=dict)

    def gpu(self, key: str) -> Calibration:
        """The constants of a GPU type; a type without its own has those of an H100."""
        return self.gpus.get(key, self.gpus["h100-sxm"])

    def release(self, family: str, month: str | None) -> Software:
        """The profile of a framework's release of `month` (`2024-07`), by default of the newest.

        Raises `FieldError` for a family that has neither releases nor a profile of its name.
        """
        known = self.releases.get(family, {})
        past = [since for since in sorted(known) if month is None or since <= month]
        return self.profile(known[past[-1] if past else min(known)] if known else family)

    def profile(self, name: str) -> Software:
        """The framework generation called `name`; raises `FieldError` for an unknown one."""
        if name not in self.software:
            known = ", ".join(self.software)
            raise FieldError("software", f"unknown framework {name!r}; known are {known}")
        return self.software[name]


@cache
def default_constants() -> Constants:
    """The packaged constants."""
    text = files(__package__).joinpath("calibration.toml").read_text(encoding="utf-8")
    return parse_constants(text, "calibration.toml")


def parse_constants(text: str, source: str) -> Constants:
    """Read constants from TOML; GPU tables may `like` another and override it.

    Raises:
        FieldError: the text is no TOML, or a constant is missing or not a positive number.
    """
    try:
        tables = parse_toml(text)
    except UnreadableTomlError as error:
        raise FieldError("calibration", f"{source}: not valid TOML: {error}") from error
    return constants_from(tables, source)


def constants_from(tables: Mapping[str, object], source: str) -> Constants:
    """Constants from tables already read; raises as `parse_constants` does."""
    gpus = _family(tables.get("gpu", {}), Calibration, f"{source}: gpu")
    named = {
        key: {"name": key, **table} for key, table in _tables(tables.get("software", {})).items()
    }
    universal = _tables({"universal": tables.get("universal", {})})["universal"]
    return Constants(
        universal=_record(universal, Universal, f"{source}: universal"),
        gpus=gpus,
        software=_family(named, Software, f"{source}: software"),
        recipes=_family(tables.get("recipe", {}), Recipe, f"{source}: recipe"),
        releases={
            family: {since: str(profile) for since, profile in table.items()}
            for family, table in _tables(tables.get("releases", {})).items()
        },
    )


def gpu_constants(tables: Mapping[str, object], source: str) -> Mapping[str, Calibration]:
    """Only the GPU tables, as a calibration of one's own machines has them; raises as above."""
    return _family(tables.get("gpu", {}), Calibration, f"{source}: gpu")


_LARGEST_CONSTANT = 1e6
"""Above all constants: most are fractions or seconds."""
_SHARES = {
    name
    for name in Calibration.__dataclass_fields__
    if not name.endswith("_s") and name != "gemm_wave"
}
"""What times are divided by: shares of what the vendor states."""
_LEAST_SHARE = 1e-6

_Record = TypeVar("_Record", Calibration, Software, Universal, Recipe)


def _tables(value: object) -> dict[str, dict[str, object]]:
    if not isinstance(value, dict):
        return {}
    return {str(key): table for key, table in value.items() if isinstance(table, dict)}


def _family(value: object, kind: type[_Record], source: str) -> dict[str, _Record]:
    records: dict[str, _Record] = {}
    for key, table in _tables(value).items():
        base = records.get(str(table.get("like", "")))
        values = {**(vars(base) if base else {}), **table}
        records[key] = _record(values, kind, f"{source}.{key}")
    return records


def _record(values: Mapping[str, object], kind: type[_Record], source: str) -> _Record:
    try:
        record = msgspec.convert(dict(values), type=kind)
    except msgspec.ValidationError as error:
        raise FieldError("calibration", f"{source}: {error}") from error
    for name, value in vars(record).items():
        if not isinstance(value, float):
            continue
        least = _LEAST_SHARE if name in _SHARES else 0.0
        if not least <= value <= _LARGEST_CONSTANT:
            bounds = f"from {least:g} to {_LARGEST_CONSTANT:g}"
            raise FieldError(name, f"{source}: {name} must be a number {bounds}, found {value:g}")
    return record
