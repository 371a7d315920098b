"""From the name that a user gives to a model ready to be packed: where it is, and what it needs."""

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import torch

from ..files.bounded import require_regular
from ..protocol.errors import BadInputError, CheckpointError
from ..protocol.options import BUNDLED_MODEL, LoadFormat
from ..protocol.served import TokenizerKind, TokenizerSource
from ..shape.config_json import load_shape
from ..shape.model_shape import ModelShape
from ..shape.presets import PRESETS
from ..shape.serving_limits import check_served, unserved_reason
from ..text.cleaning import clean
from ..text.tokenizer import CheckpointTokenizer, NumberTokenizer, Tokenizer
from .checkpoint import (
    Checkpoint,
    ProgressCallback,
    open_checkpoint,
    read_weights,
    stored_dtype,
)
from .dummy import dummy_weights
from .gguf_checkpoint import GgufModel, open_gguf
from .hub import DownloadCallback, download, parse_hub_id
from .weight_memory import HOST, MASTER_DTYPE, master_device
from .weights import MasterWeights

ConfigCallback = Callable[[str, ModelShape, torch.dtype], None]

BUNDLED_FOLDER = Path(str(files(__package__))) / "bundled"
CONFIG_NAME = "config.json"
TOKENIZER_NAME = "tokenizer.json"
GGUF_SUFFIX = ".gguf"
TEXT_FILES = (
    TOKENIZER_NAME,
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "chat_template.json",
)
_LARGEST_TEXT_FILE = 256 << 20
"""Bytes. The tokenizer of Gemma 3, among the largest, has 33 MiB."""


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model's master weights, its tokenizer and the name to show for it."""

    name: str
    master: MasterWeights
    tokenizer: Tokenizer
    notes: tuple[str, ...] = ()
    """What of its files is not used, and where they and its config.json differ."""
    tokenizer_source: TokenizerSource | None = None
    """Where another process reads the same tokenizer from; `None`: nowhere."""

    @property
    def config(self) -> ModelShape:
        return self.master.config


def find_shape(
    model: str, load_format: LoadFormat = "auto", on_download: DownloadCallback | None = None
) -> ModelShape:
    """The shape of `model` (see `load_model`), for which no weight is read.

    Raises `BadInputError` for no model's name, `CheckpointError` for a folder that cannot be had.
    """
    return _locate(model, load_format, on_download).config


def load_model(
    model: str,
    load_format: LoadFormat = "auto",
    on_progress: ProgressCallback | None = None,
    device: torch.device = HOST,
    on_download: DownloadCallback | None = None,
    on_config: ConfigCallback | None = None,
) -> LoadedModel:
    """Load `model`: `bundled`, a checkpoint folder, a GGUF file, a `config.json`, a preset's name
    or a hub id.

    The master copy is to be served on `device`, and stays there if it takes little of its memory.
    `on_download` is told how much of a model of the hub has come, `on_progress` how many of the
    tensors were read. `on_config` is told the name, the shape and the master copy's dtype before
    any weight takes memory: what it raises ends the loading.

    Raises `BadInputError` for a name that is none of these or has no weights here, and
    `CheckpointError` for a folder or file that cannot be loaded, or not be had.
    """
    source = _locate(model, load_format, on_download)
    name, config = source.name, source.config
    check_served(config, name)
    if load_format == "dummy":
        if on_config is not None:
            on_config(name, config, MASTER_DTYPE)
        home = master_device(config, MASTER_DTYPE, device)
        return LoadedModel(
            name,
            dummy_weights(config, MASTER_DTYPE, device=home),
            _stand_in(config),
            tokenizer_source=_source_of("numbers", BUNDLED_FOLDER, config),
        )
    checkpoint, tokenizer = _open(source, model)
    if on_config is not None:
        on_config(name, checkpoint.config, stored_dtype(checkpoint))
    master = read_weights(checkpoint, on_progress, device)
    notes = (*config.notes, *checkpoint.notes)
    return LoadedModel(name, master, tokenizer, notes, _tokenizer_source(source))


def _tokenizer_source(source: "_Source") -> TokenizerSource | None:
    if source.gguf is not None:
        return _source_of("gguf", source.gguf.file.path, source.config)
    return None if source.folder is None else _source_of("folder", source.folder, source.config)


def _source_of(kind: TokenizerKind, path: Path, config: ModelShape) -> TokenizerSource:
    # Another process may stand in another folder.
    return TokenizerSource(kind=kind, path=str(path.absolute()), vocabulary=config.vocabulary)


def _open(source: "_Source", model: str) -> tuple[Checkpoint, Tokenizer]:
    """The weights of `source`, not read yet, and its tokenizer.

    Raises `BadInputError` for a shape alone, `CheckpointError` for files that cannot be loaded.
    """
    if source.gguf is not None:
        return source.gguf.parts()
    folder = source.folder
    if folder is None:
        raise BadInputError(
            f"{model} is a shape without weights: give its checkpoint folder, or "
            "--load-format dummy for random weights"
        )
    _check_text_files(folder)
    tokenizer = CheckpointTokenizer(folder / TOKENIZER_NAME, source.config.vocabulary)
    return open_checkpoint(folder, source.config), tokenizer


def _check_text_files(folder: Path) -> None:
    """Refuse what of a tokenizer's files is not regular, or too large to be one.

    Raises:
        CheckpointError: such a file.
    """
    for name in TEXT_FILES:
        with suppress(FileNotFoundError):
            require_regular(folder / name, _LARGEST_TEXT_FILE)


@dataclass(frozen=True, slots=True)
class _Source:
    """What a name stands for. A shape without weights has neither a folder nor a GGUF file."""

    name: str
    folder: Path | None
    config: ModelShape
    gguf: GgufModel | None = None

    @classmethod
    def in_folder(cls, name: str, folder: Path) -> "_Source":
        return cls(clean(name), folder, load_shape(folder / CONFIG_NAME))


def _locate(model: str, load_format: LoadFormat, on_download: DownloadCallback | None) -> _Source:
    if model == BUNDLED_MODEL:
        return _Source.in_folder(model, BUNDLED_FOLDER)
    path = Path(model)
    # `~name` of nobody here is no home, and then no folder either.
    with suppress(RuntimeError):
        path = path.expanduser()
    # Unlike Path's, it says no to whatever cannot be looked at.
    if model and os.path.isdir(path):  # noqa: PTH112
        return _Source.in_folder(path.resolve().name, path)
    there = bool(model) and os.path.lexists(path)
    if there and path.suffix == ".json":
        return _Source(clean(path.stem), None, load_shape(path))
    if there and path.suffix.lower() == GGUF_SUFFIX:
        gguf = open_gguf(path)
        return _Source(gguf.config.name, None, gguf.config, gguf)
    if model in PRESETS:
        return _Source(model, None, PRESETS[model])
    if there:
        raise _no_folder(path)
    hub_id = parse_hub_id(model)
    if hub_id is not None:
        with_weights = load_format != "dummy"
        folder = download(hub_id, with_weights=with_weights, on_progress=on_download)
        return _Source.in_folder(hub_id.name, folder)
    served = [name for name, shape in PRESETS.items() if unserved_reason(shape) is None]
    names = ", ".join([BUNDLED_MODEL, *served])
    raise BadInputError(
        f"no model {clean(model)!r}: give a checkpoint folder, a .gguf file, a config.json, a hub "
        f"id (organization/name) or one of {names}"
    )


def _no_folder(path: Path) -> BadInputError:
    """Why what lies at `path`, no folder, is no model."""
    try:
        require_regular(path)
    except FileNotFoundError:
        return BadInputError(f"{path}: is a link to something that is not there")
    except CheckpointError as error:
        return error
    return BadInputError(
        f"{path}: is a file and no model: give its folder, a .gguf file or a .json config"
    )


def _stand_in(config: ModelShape) -> Tokenizer:
    bundled = load_shape(BUNDLED_FOLDER / CONFIG_NAME)
    prompts = CheckpointTokenizer(BUNDLED_FOLDER / TOKENIZER_NAME, bundled.vocabulary)
    return NumberTokenizer(prompts, config.vocabulary)
