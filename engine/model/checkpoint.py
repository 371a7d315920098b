"""Loading a Hugging Face checkpoint folder: safetensors only, every tensor accounted for."""

from collections.abc import Callable
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from ..errors import CheckpointError
from .config import ModelConfig, read_json
from .weights import MasterWeights, Slot, allocate, checkpoint_slots

INDEX_NAME = "model.safetensors.index.json"
SINGLE_NAME = "model.safetensors"
_DTYPES = {"F32": torch.float32, "BF16": torch.bfloat16, "F16": torch.float16}
"""What weights may be stored as, by the names that safetensors gives."""

ProgressCallback = Callable[[float], None]


def load_weights(
    folder: Path, config: ModelConfig, on_progress: ProgressCallback | None = None
) -> MasterWeights:
    """Read the weights of `config`'s shape from `folder`.

    Tensors are streamed one at a time into their place in the fused master copy. Raises
    `CheckpointError` for a missing, unexpected or misshapen tensor, one that is neither fp32, bf16
    nor fp16, and for a file that is damaged or not safetensors.
    """
    shards = _shards(folder)
    weights = allocate(config, _stored_dtype(shards, config))
    unfilled = dict(checkpoint_slots(weights))
    total = len(unfilled)
    for shard in shards:
        _read_shard(shard, unfilled, config, lambda: _report(on_progress, total, len(unfilled)))
    if unfilled:
        names = sorted(unfilled)
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        raise CheckpointError(f"{folder}: the checkpoint has no tensor {names[0]!r}{more}")
    return weights


def _report(on_progress: ProgressCallback | None, total: int, left: int) -> None:
    if on_progress is not None:
        on_progress(1.0 - left / total)


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


def _stored_dtype(shards: list[Path], config: ModelConfig) -> torch.dtype:
    """The dtype of the master copy: that of all tensors, or fp32, which holds each of a mixture."""
    found: set[torch.dtype] = set()
    for shard in shards:
        try:
            with safe_open(shard, framework="pt") as file:
                stored = {name: str(file.get_slice(name).get_dtype()) for name in file.keys()}  # noqa: SIM118 - safe_open is no mapping
        except (OSError, SafetensorError) as error:
            raise CheckpointError(f"{shard}: damaged or unreadable: {error}") from error
        for name, kind in stored.items():
            if _is_derived(name, config):
                continue
            if kind not in _DTYPES:
                raise CheckpointError(f"{shard}: {name!r} is of type {kind}, which is no weight's")
            found.add(_DTYPES[kind])
    return found.pop() if len(found) == 1 else torch.float32


def _read_shard(
    shard: Path, unfilled: dict[str, Slot], config: ModelConfig, on_tensor: Callable[[], None]
) -> None:
    try:
        with safe_open(shard, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118 - safe_open is no mapping
                if _is_derived(name, config):
                    continue
                slot = unfilled.pop(name, None)
                if slot is None:
                    raise CheckpointError(f"{shard}: tensor {name!r} has no place in this model")
                tensor: torch.Tensor = file.get_tensor(name)
                _check(tensor, slot, name, shard)
                slot.fill(tensor)
                on_tensor()
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{shard}: damaged or unreadable: {error}") from error


def _is_derived(name: str, config: ModelConfig) -> bool:
    """Tensors that some exporters write although they follow from others."""
    tied_head = config.tied_embeddings and name == "lm_head.weight"
    return tied_head or name.endswith("rotary_emb.inv_freq")


def _check(tensor: torch.Tensor, slot: Slot, name: str, shard: Path) -> None:
    if tuple(tensor.shape) != slot.shape:
        raise CheckpointError(
            f"{shard}: {name!r} has shape {list(tensor.shape)}, config.json asks for "
            f"{list(slot.shape)}"
        )
