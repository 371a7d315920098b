"""Loading a Hugging Face checkpoint folder: safetensors only, every tensor accounted for."""

import math
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from ..files.json_fields import read_json
from ..protocol.errors import BrokenWeightsError, CheckpointError
from ..shape.model_shape import ModelShape
from .tensor_map import Placement, canonical_name, tensor_placements
from .weight_memory import HOST, master_device
from .weights import MasterWeights, allocate

INDEX_NAME = "model.safetensors.index.json"
SINGLE_NAME = "model.safetensors"
_DTYPES = {"F32": torch.float32, "BF16": torch.bfloat16, "F16": torch.float16}
"""What weights may be stored as, by the names that safetensors gives."""

_PACKED_PARTS = (".qweight", ".qzeros", ".scales", ".g_idx")

ProgressCallback = Callable[[float], None]


def load_weights(
    folder: Path,
    config: ModelShape,
    on_progress: ProgressCallback | None = None,
    device: torch.device = HOST,
) -> MasterWeights:
    """Read the weights of `config`'s shape from `folder`, onto `device` where they may stay there.

    Tensors are streamed one at a time into their place in the fused master copy. Raises
    `CheckpointError` for a missing, unexpected or misshapen tensor, one that is neither fp32, bf16
    nor fp16, and for a file that is damaged or not safetensors; `BrokenWeightsError` for a tensor
    with values that are no numbers.
    """
    shards = _shards(folder)
    dtype = _stored_dtype(shards, config)
    with master_device(config, dtype, device):
        weights = allocate(config, dtype)
    unfilled = dict(tensor_placements(weights))
    required = sum(not placement.optional for placement in unfilled.values())
    progress = _Progress(on_progress, required)
    parameters = sum(_read_shard(shard, unfilled, config, progress) for shard in shards)
    names = sorted(name for name, placement in unfilled.items() if not placement.optional)
    if names:
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        raise CheckpointError(f"{folder}: the checkpoint has no tensor {names[0]!r}{more}")
    # Packed tensors hold several parameters in a value.
    if config.stored.int4 is None and parameters != config.parameters:
        counts = f"{parameters:,} parameters and not {config.parameters:,}"
        raise CheckpointError(f"{folder}: the checkpoint has {counts}, as its shape comes to")
    return weights


class _Progress:
    """Reports which share of the required tensors has been read."""

    def __init__(self, report: ProgressCallback | None, total: int) -> None:
        self._report = report
        self._total = total
        self._read = 0

    def step(self, placement: Placement) -> None:
        if self._report is not None and not placement.optional:
            self._read += 1
            self._report(self._read / self._total)


def _shards(folder: Path) -> list[Path]:
    index = folder / INDEX_NAME
    if index.is_file():
        table = read_json(index).get("weight_map")
        if not isinstance(table, dict) or not table:
            raise CheckpointError(f"{index}: has no `weight_map`")
        names = sorted({str(name) for name in table.values()})
        for name in names:
            if (folder / name).parent != folder or name == "..":
                raise CheckpointError(f"{index}: names a file outside its folder: {name!r}")
        return [folder / name for name in names]
    if (folder / SINGLE_NAME).is_file():
        return [folder / SINGLE_NAME]
    if any(folder.glob("*.bin")) or any(folder.glob("*.pt")):
        raise CheckpointError(f"{folder}: holds pickled weights only; safetensors are needed")
    raise CheckpointError(f"{folder}: has no {SINGLE_NAME}")


def _stored_dtype(shards: list[Path], config: ModelShape) -> torch.dtype:
    """The dtype of the master copy: that of all tensors, or fp32, which holds each of a mixture."""
    dtypes: set[torch.dtype] = set()
    for shard in shards:
        try:
            with safe_open(shard, framework="pt") as file:
                stored = {name: str(file.get_slice(name).get_dtype()) for name in file.keys()}  # noqa: SIM118 - safe_open is no mapping
        except (OSError, SafetensorError) as error:
            raise CheckpointError(f"{shard}: damaged or unreadable: {error}") from error
        for name, kind in stored.items():
            if canonical_name(name, config) is None or _is_packed(name, config):
                continue
            if kind not in _DTYPES:
                raise CheckpointError(f"{shard}: {name!r} is of type {kind}, which is no weight's")
            dtypes.add(_DTYPES[kind])
    return dtypes.pop() if len(dtypes) == 1 else torch.float32


def _read_shard(
    shard: Path, unfilled: dict[str, Placement], config: ModelShape, progress: _Progress
) -> int:
    """Fill the places of the tensors in `shard`; returns how many values they have together."""
    values = 0
    try:
        with safe_open(shard, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118 - safe_open is no mapping
                canonical = canonical_name(name, config)
                if canonical is None:
                    continue
                placement = unfilled.pop(canonical, None)
                if placement is None:
                    raise CheckpointError(f"{shard}: tensor {name!r} has no place in this model")
                tensor: torch.Tensor = file.get_tensor(name)
                _fill(placement, tensor, f"{shard}: {name!r}")
                progress.step(placement)
                values += tensor.numel()
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{shard}: damaged or unreadable: {error}") from error
    return values


def _is_packed(name: str, config: ModelShape) -> bool:
    """A part of a 4-bit weight, whose dtype is not the model's."""
    return config.stored.int4 is not None and name.endswith(_PACKED_PARTS)


def _fill(placement: Placement, tensor: torch.Tensor, what: str) -> None:
    if tuple(tensor.shape) != placement.shape:
        raise CheckpointError(
            f"{what} has shape {list(tensor.shape)}, config.json asks for {list(placement.shape)}"
        )
    if placement.packed != (tensor.dtype is torch.int32):
        dtype = str(tensor.dtype).removeprefix("torch.")
        wanted = "int32, as packed values are" if placement.packed else "a floating-point type"
        raise CheckpointError(f"{what} is of type {dtype} and not {wanted}")
    try:
        placement.fill(tensor)
    except ValueError as error:
        raise CheckpointError(f"{what} {error}") from error
    if placement.target is not None and not _all_finite(placement.target):
        raise BrokenWeightsError(
            f"{what} holds NaN or infinite values: the file is damaged, or the training that wrote "
            "it failed; fetch it again or choose another model"
        )


def _all_finite(values: torch.Tensor) -> bool:
    """Whether no value is NaN or infinite, by the least and the greatest: NaN if any value is.

    One pass that stores nothing, on the device that holds the values. `isfinite` writes a tensor
    of answers, which takes many times as long on a CPU.
    """
    if not values.is_floating_point():
        return True
    least, greatest = torch.aminmax(values)
    return math.isfinite(least.item()) and math.isfinite(greatest.item())
