"""Loading a checkpoint's weights, every tensor accounted for: a folder of safetensors, or GGUF."""

import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Protocol

import torch

from ..protocol.errors import BrokenWeightsError, CheckpointError
from ..shape.model_shape import ModelShape
from .stored_form import settle_form
from .stored_tensors import StoredTensor, open_safetensors, read_headers
from .tensor_map import Placement, canonical_name, is_derived, is_image_part, tensor_placements
from .weight_memory import HOST, master_device
from .weights import MasterWeights, allocate

_DTYPES = {"F32": torch.float32, "BF16": torch.bfloat16, "F16": torch.float16}
"""What weights may be stored as, by the names that safetensors gives."""

_PACKED_PARTS = (".qweight", ".qzeros", ".scales", ".g_idx")
"""The ends of names in a 4-bit layer, whose types are not the model's."""

ProgressCallback = Callable[[float], None]


class WeightsFile(Protocol):
    """An open file of weights."""

    def get_tensor(self, name: str) -> torch.Tensor:
        """The values of the tensor that the file calls `name`."""
        ...


OpenWeights = Callable[[Path], AbstractContextManager[WeightsFile]]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A folder whose headers were read: `config` is its shape as the files really hold it.

    `tensors` are those of the decoder, by canonical names; `notes` name what is not used, and what
    `config.json` says otherwise than the files. `open_file` opens one that holds tensors; a
    checkpoint of one file (GGUF) has that as its `folder`.
    """

    folder: Path
    config: ModelShape
    tensors: Mapping[str, StoredTensor]
    notes: tuple[str, ...]
    open_file: OpenWeights = open_safetensors


def open_checkpoint(folder: Path, config: ModelShape) -> Checkpoint:
    """Read the headers of the weights in `folder`, of which `config.json` says `config`.

    Raises:
        CheckpointError: for a file that cannot be read, a tensor that is there twice under two
            names, and layers of which a part is in 4 bits and another is not.
    """
    stored = read_headers(folder)
    tensors: dict[str, StoredTensor] = {}
    images = 0
    for name, tensor in stored.tensors.items():
        if is_image_part(name):
            images += 1
        elif not is_derived(name, config):
            canonical = canonical_name(name, config)
            if canonical in tensors:
                raise CheckpointError(f"{tensor} is there as {tensors[canonical].name!r} too")
            tensors[canonical] = tensor
    notes = list(stored.notes)
    if images:
        notes.append(f"not read: {images} tensors that see images")
    config, tensors, more = settle_form(folder, config, tensors)
    return Checkpoint(folder, config, tensors, (*notes, *more))


def load_weights(
    folder: Path,
    config: ModelShape,
    on_progress: ProgressCallback | None = None,
    device: torch.device = HOST,
) -> MasterWeights:
    """The weights of `config`'s shape from `folder`: `read_weights` of `open_checkpoint`."""
    return read_weights(open_checkpoint(folder, config), on_progress, device)


def read_weights(
    checkpoint: Checkpoint,
    on_progress: ProgressCallback | None = None,
    device: torch.device = HOST,
) -> MasterWeights:
    """Read the weights of `checkpoint`, onto `device` where they may stay there.

    Tensors are streamed one at a time into their place in the fused master copy. Raises
    `CheckpointError` for a missing, unexpected or misshapen tensor, one that is neither fp32, bf16
    nor fp16, and for a file that is damaged or not safetensors; `BrokenWeightsError` for a tensor
    with values that are no numbers.
    """
    folder, config = checkpoint.folder, checkpoint.config
    dtype = stored_dtype(checkpoint)
    with master_device(config, dtype, device):
        weights = allocate(config, dtype)
    unfilled = dict(tensor_placements(weights))
    required = sum(not placement.optional for placement in unfilled.values())
    progress = _Progress(on_progress, required)
    parameters = 0
    ordered = sorted(checkpoint.tensors.items(), key=lambda item: item[1].file)
    for file, of_file in groupby(ordered, key=lambda item: item[1].file):
        with checkpoint.open_file(file) as weights_file:
            parameters += _read_file(weights_file, dict(of_file), unfilled, config, progress)
    _refuse_missing(folder, unfilled)
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


def stored_dtype(checkpoint: Checkpoint) -> torch.dtype:
    """The dtype of the master copy: that of all tensors, or fp32, which holds each of a mixture.

    Raises `CheckpointError` for a tensor of a type that no weight has, or of an unknown packing.
    """
    dtypes: set[torch.dtype] = set()
    for tensor in checkpoint.tensors.values():
        if tensor.name.endswith(_PACKED_PARTS):
            if checkpoint.config.stored.int4 is None:
                raise CheckpointError(_unplaced(tensor, checkpoint.config))
            continue
        if tensor.dtype not in _DTYPES:
            raise CheckpointError(f"{tensor} is of type {tensor.dtype}, which is no weight's")
        dtypes.add(_DTYPES[tensor.dtype])
    return dtypes.pop() if len(dtypes) == 1 else torch.float32


def _read_file(
    file: WeightsFile,
    tensors: Mapping[str, StoredTensor],
    unfilled: dict[str, Placement],
    config: ModelShape,
    progress: _Progress,
) -> int:
    """Fill the places of `tensors`, all in one file; returns how many values they have together."""
    values = 0
    for name, stored in tensors.items():
        placement = unfilled.pop(name, None)
        if placement is None:
            raise CheckpointError(_unplaced(stored, config))
        tensor = file.get_tensor(stored.name)
        _fill(placement, tensor, str(stored))
        progress.step(placement)
        values += tensor.numel()
    return values


def check_placements(checkpoint: Checkpoint) -> None:
    """Compare the headers with the shape, before any weight takes memory.

    Raises `CheckpointError` for a missing, unexpected or misshapen tensor, and for a shape that no
    memory could hold.
    """
    try:
        with torch.device("meta"):
            weights = allocate(checkpoint.config, torch.float32)
    except RuntimeError as error:
        # More bytes than can be counted.
        raise CheckpointError(f"{checkpoint.folder}: says that it is of an absurd size") from error
    unfilled = dict(tensor_placements(weights))
    for name, stored in checkpoint.tensors.items():
        placement = unfilled.pop(name, None)
        if placement is None:
            raise CheckpointError(_unplaced(stored, checkpoint.config))
        _check_shape(placement, stored.shape, str(stored))
    _refuse_missing(checkpoint.folder, unfilled)


def _refuse_missing(folder: Path, unfilled: Mapping[str, Placement]) -> None:
    names = sorted(name for name, placement in unfilled.items() if not placement.optional)
    if names:
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        raise CheckpointError(f"{folder}: the checkpoint has no tensor {names[0]!r}{more}")


def _unplaced(stored: StoredTensor, config: ModelShape) -> str:
    """Why there is no place for a tensor."""
    where = f"{stored.file}: tensor {stored.name!r}"
    if stored.name.endswith(_PACKED_PARTS):
        if config.stored.int4 is None:
            return f"{where} is of a layer in 4 bits, and config.json has no `quantization_config`"
        if "lm_head." in stored.name:
            return f"{where} is of an output head in 4 bits, which is not supported"
    return f"{where} has no place in this model"


def _check_shape(placement: Placement, shape: tuple[int, ...], what: str) -> None:
    if shape != placement.shape:
        raise CheckpointError(
            f"{what} has shape {list(shape)}, the model's shape asks for {list(placement.shape)}"
        )


def _fill(placement: Placement, tensor: torch.Tensor, what: str) -> None:
    _check_shape(placement, tuple(tensor.shape), what)
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
