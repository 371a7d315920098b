"""A GGUF file as a checkpoint: shape, tensors, tokenizer, and what of it is not used."""

from dataclasses import dataclass, replace
from pathlib import Path

from ...protocol.errors import CheckpointError
from ...shape.model_shape import ModelShape
from ...text.cleaning import clean
from ...text.tokenizer import VocabularyTokenizer
from ..checkpoint import Checkpoint, check_placements
from .metadata import Metadata
from .reader import GgufFile, read_gguf
from .shape import ROPE_FACTORS, read_shape
from .tensors import GgufWeights, read_tensor, stored_tensors
from .tokenizer import build_tokenizer


@dataclass(frozen=True, slots=True)
class GgufModel:
    """A file whose header was read, and the shape that it describes."""

    file: GgufFile
    metadata: Metadata
    config: ModelShape

    def parts(self) -> tuple[Checkpoint, VocabularyTokenizer]:
        """Its weights, not read yet, and its tokenizer.

        Raises:
            CheckpointError: tensors that do not fit the shape, or a tokenizer that is not read.
        """
        tokenizer = build_tokenizer(self.metadata, self.config.vocabulary)
        llama = self.metadata.get("general.architecture") == "llama"
        heads = {"q": self.config.heads, "k": self.config.kv_heads} if llama else {}
        checkpoint = Checkpoint(
            folder=self.file.path,
            config=self.config,
            tensors=stored_tensors(self.file),
            notes=tuple(self.metadata.unused_note()),
            open_file=GgufWeights(self.file, heads).open,
        )
        check_placements(checkpoint)
        return checkpoint, tokenizer


def open_gguf(path: Path) -> GgufModel:
    """Read the header of the GGUF file `path`, and its shape.

    Raises:
        CheckpointError: it is no such file, damaged, or holds a model that is not read here.
    """
    file = read_gguf(path)
    metadata = Metadata(file.metadata, str(path))
    tokens = metadata.texts("tokenizer.ggml.tokens")
    if not tokens:
        raise metadata.error("has no tokens (`tokenizer.ggml.tokens`)")
    shape = read_shape(metadata, file.tensors, len(tokens), _rope_factors(file))
    return GgufModel(file, metadata, replace(shape, name=clean(path.stem)))


def _rope_factors(file: GgufFile) -> list[float] | None:
    tensor = file.tensors.get(ROPE_FACTORS)
    if tensor is None:
        return None
    if len(tensor.shape) != 1:
        raise CheckpointError(f"{file.path}: {ROPE_FACTORS!r} is no list of numbers")
    values: list[float] = read_tensor(file, tensor).float().tolist()
    return values
