"""Which file of a checkpoint folder holds which tensor: by the index, or the one whole file."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

from safetensors import SafetensorError, safe_open
from torch import Tensor

from ..files.bounded import require_regular
from ..files.json_fields import read_json
from ..protocol.errors import CheckpointError
from ..text.cleaning import clean

INDEX_NAME = "model.safetensors.index.json"
SINGLE_NAME = "model.safetensors"
_INDEX_SUFFIX = ".safetensors.index.json"
_ADAPTER_NAME = "adapter_config.json"
_NAMED = 3
"""How many names a note lists before it counts the rest."""


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """A tensor's header: its `name` and `dtype` are those that the file states."""

    name: str
    file: Path
    dtype: str
    shape: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.file}: {self.name!r}"


@dataclass(frozen=True, slots=True)
class StoredTensors:
    """The tensors of a checkpoint by their names in it; `notes` say what else is there."""

    tensors: Mapping[str, StoredTensor]
    notes: tuple[str, ...]


class TensorSlice(Protocol):
    """A tensor of an open file, of which nothing is read yet."""

    def get_dtype(self) -> str: ...

    def get_shape(self) -> list[int]: ...

    def __getitem__(self, rows: slice) -> Tensor: ...


class SafetensorsFile(Protocol):
    """What is used of `safe_open`, which states no types."""

    def keys(self) -> list[str]: ...

    def get_slice(self, name: str) -> TensorSlice: ...

    def get_tensor(self, name: str) -> Tensor: ...


@contextmanager
def open_safetensors(path: Path) -> Iterator[SafetensorsFile]:
    """The safetensors file `path`.

    Raises:
        CheckpointError: none is there, none that is regular, or it is damaged, here or while used.
    """
    try:
        require_regular(path)
        with safe_open(path, framework="pt") as file:
            yield cast(SafetensorsFile, file)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path}: damaged or unreadable: {error}") from error


def read_headers(folder: Path) -> StoredTensors:
    """The header of every tensor in `folder`, from the file that counts for it.

    As in transformers a whole file counts, whatever an index beside it says, and `config.json` may
    name another (`transformers_weights`). Among shards the index says which copy of a tensor
    counts; what it places wrongly is read from the one shard that has it.

    Raises:
        CheckpointError: no weights, a file that is missing, damaged or not safetensors, an index
            that maps nothing or leads out of the folder, or a tensor in several shards of which
            the index names none.
    """
    name = _main_file(folder)
    notes = []
    if name.endswith(_INDEX_SUFFIX):
        placed = _read_index(folder / name)
        files = sorted({folder / shard for shard in placed.values()})
        tensors, more = _among_shards(folder / name, placed, files)
        notes += more
    else:
        files = [folder / name]
        tensors = _headers(folder / name)
    unread = {file.name for file in folder.glob("*.safetensors")} - {file.name for file in files}
    if unread:
        notes.append(f"not read, as {name} does not name them: {_listed(unread)}")
    if (folder / _ADAPTER_NAME).exists():
        notes.append(f"not applied: the adapter of {_ADAPTER_NAME} (merge it into the weights)")
    return StoredTensors(tensors, tuple(clean(note) for note in notes))


def _main_file(folder: Path) -> str:
    """The name of the whole file or of the index."""
    config = folder / "config.json"
    named = read_json(config).get("transformers_weights") if config.exists() else None
    if named is not None:
        if not isinstance(named, str) or not named.endswith((".safetensors", _INDEX_SUFFIX)):
            raise CheckpointError(f"{config}: `transformers_weights` names no safetensors file")
        return _inside(folder, named, config)
    for name in (SINGLE_NAME, INDEX_NAME):
        if (folder / name).exists():
            return name
    others = sorted(file.name for file in folder.glob("*.safetensors"))
    if (folder / _ADAPTER_NAME).exists():
        raise CheckpointError(f"{folder}: holds an adapter only: merge it into its model's weights")
    if others:
        raise CheckpointError(
            f"{folder}: has no {SINGLE_NAME} and no {INDEX_NAME}, without which it is not known "
            f"what {clean(_listed(others))} holds: fetch the index, or rename a whole file"
        )
    if any(folder.glob("*.bin")) or any(folder.glob("*.pt")):
        raise CheckpointError(f"{folder}: holds pickled weights only; safetensors are needed")
    raise CheckpointError(f"{folder}: has no {SINGLE_NAME}")


def _inside(folder: Path, name: str, source: Path) -> str:
    if (folder / name).parent != folder or name in ("", ".", ".."):
        raise CheckpointError(f"{source}: names a file outside its folder: {name!r}")
    return name


def _read_index(index: Path) -> dict[str, str]:
    """The name of the shard that `index` names for each tensor."""
    table = read_json(index).get("weight_map")
    if not isinstance(table, dict) or not table:
        raise CheckpointError(f"{index}: has no `weight_map`")
    placed = {str(tensor): str(shard) for tensor, shard in table.items()}
    for shard in sorted(set(placed.values())):
        _inside(index.parent, shard, index)
        if not (index.parent / shard).exists():
            raise CheckpointError(f"{index}: names {shard!r}, which is not there")
    return placed


def _among_shards(
    index: Path, placed: Mapping[str, str], files: list[Path]
) -> tuple[dict[str, StoredTensor], list[str]]:
    copies: dict[str, list[StoredTensor]] = {}
    for file in files:
        for name, tensor in _headers(file).items():
            copies.setdefault(name, []).append(tensor)
    tensors, repeated, misplaced = {}, [], []
    for name, tensors_of_name in copies.items():
        named = [each for each in tensors_of_name if each.file.name == placed.get(name)]
        if not named and len(tensors_of_name) > 1:
            shards = " and ".join(each.file.name for each in tensors_of_name)
            raise CheckpointError(f"{index}: {name!r} is in {shards}, and it names neither")
        if len(tensors_of_name) > 1:
            repeated.append(name)
        if not named:
            misplaced.append(name)
        tensors[name] = (named or tensors_of_name)[0]
    notes = []
    if repeated:
        notes.append(f"in several shards, read from the index's: {_listed(repeated)}")
    if misplaced:
        notes.append(f"not where the index says, read from where they are: {_listed(misplaced)}")
    return tensors, notes


def _headers(path: Path) -> dict[str, StoredTensor]:
    headers: dict[str, StoredTensor] = {}
    with open_safetensors(path) as file:
        for name in file.keys():  # noqa: SIM118 - the file is no mapping
            part = file.get_slice(name)
            headers[name] = StoredTensor(name, path, str(part.get_dtype()), tuple(part.get_shape()))
    return headers


def _listed(names: set[str] | list[str]) -> str:
    ordered = sorted(names)
    more = f" and {len(ordered) - _NAMED} more" if len(ordered) > _NAMED else ""
    return ", ".join(ordered[:_NAMED]) + more
