"""From the name that a user gives to a model ready to be packed: where it is, and what it needs."""

from contextlib import suppress
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import torch

from ..errors import BadInputError
from ..options import BUNDLED_MODEL, LoadFormat
from ..text import clean
from .checkpoint import ProgressCallback, load_weights
from .config import ModelConfig
from .dummy import dummy_weights
from .hf_config import load_config
from .presets import PRESETS
from .residency import HOST, master_device
from .tokenizer import CheckpointTokenizer, NumberTokenizer, Tokenizer
from .weights import MasterWeights

BUNDLED_FOLDER = Path(str(files(__package__))) / "bundled"
CONFIG_NAME = "config.json"
TOKENIZER_NAME = "tokenizer.json"


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model's master weights, its tokenizer and the name to show for it."""

    name: str
    master: MasterWeights
    tokenizer: Tokenizer

    @property
    def config(self) -> ModelConfig:
        return self.master.config


def load_model(
    model: str,
    load_format: LoadFormat = "auto",
    on_progress: ProgressCallback | None = None,
    device: torch.device = HOST,
) -> LoadedModel:
    """Load `model`: `bundled`, a checkpoint folder, a `config.json` or a preset's name.

    The master copy is to be served on `device`, and stays there if it takes little of its memory.

    Raises `BadInputError` for a name that is none of these or has no weights here, and
    `CheckpointError` for a folder that cannot be loaded.
    """
    folder, config = _locate(model)
    name = clean(_display_name(model, folder))
    if load_format == "dummy":
        home = master_device(config, torch.bfloat16, device)
        return LoadedModel(
            name, dummy_weights(config, torch.bfloat16, device=home), _stand_in(config)
        )
    if folder is None:
        raise BadInputError(
            f"{model} is a shape without weights: give its checkpoint folder, or "
            "--load-format dummy for random weights"
        )
    tokenizer = CheckpointTokenizer(folder / TOKENIZER_NAME, config.vocabulary)
    return LoadedModel(name, load_weights(folder, config, on_progress, device), tokenizer)


def _locate(model: str) -> tuple[Path | None, ModelConfig]:
    """The folder with the weights, if there is one, and the shape."""
    if model == BUNDLED_MODEL:
        return BUNDLED_FOLDER, load_config(BUNDLED_FOLDER / CONFIG_NAME)
    path = Path(model)
    # `~name` of nobody here is no home, and then no folder either.
    with suppress(RuntimeError):
        path = path.expanduser()
    if model and path.is_dir():
        return path, load_config(path / CONFIG_NAME)
    if path.suffix == ".json" and path.is_file():
        return None, load_config(path)
    if model in PRESETS:
        return None, PRESETS[model]
    known = ", ".join([BUNDLED_MODEL, *PRESETS])
    raise BadInputError(
        f"no model {clean(model)!r}: give a checkpoint folder, a config.json or one of {known}"
    )


def _display_name(model: str, folder: Path | None) -> str:
    if model == BUNDLED_MODEL or (folder is None and model in PRESETS):
        return model
    # Only a file has a suffix: the `.1-8b` of a folder is part of its name.
    return Path(model).stem if folder is None else folder.resolve().name


def _stand_in(config: ModelConfig) -> Tokenizer:
    bundled = load_config(BUNDLED_FOLDER / CONFIG_NAME)
    prompts = CheckpointTokenizer(BUNDLED_FOLDER / TOKENIZER_NAME, bundled.vocabulary)
    return NumberTokenizer(prompts, config.vocabulary)
