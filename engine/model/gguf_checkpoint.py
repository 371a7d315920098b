"""A GGUF file as a checkpoint: shape, tensors, tokenizer, and what of it is not used."""

from dataclasses import dataclass, replace
from pathlib import Path

import torch

from ..protocol.errors import CheckpointError
from ..shape.model_shape import ModelShape
from ..text.cleaning import clean
from ..text.tokenizer import VocabularyTokenizer
from .checkpoint import Checkpoint, check_placements
from .gguf.metadata import Metadata
from .gguf.reader import GgufFile, GgufTensor, read_gguf
from .gguf.shape import ROPE_FACTORS, read_shape
from .gguf.tensors import GgufWeights, checkpoint_name, read_tensor
from .gguf.tokenizer import build_tokenizer
from .stored_tensors import StoredTensor

_TYPE_NAMES = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16"}
"""As safetensors calls them."""


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
            tensors=_stored_tensors(self.file),
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


def _stored_tensors(file: GgufFile) -> dict[str, StoredTensor]:
    """The decoder's tensors by the names of a checkpoint, with the types that a master copy keeps.

    The converter writes every vector as fp32, whatever it was. Where the matrices have one type of
    16 bits, a vector whose values that type holds exactly counts as of that type: nothing is lost.
    """
    decoder = {name: each for name, each in file.tensors.items() if name != ROPE_FACTORS}
    matrices = {each.type.master_dtype for each in decoder.values() if len(each.shape) > 1}
    matrix_dtype = matrices.pop() if len(matrices) == 1 else torch.float32
    stored = {}
    for name, tensor in decoder.items():
        dtype = tensor.type.master_dtype
        if len(tensor.shape) == 1 and dtype is torch.float32 and _holds(file, tensor, matrix_dtype):
            dtype = matrix_dtype
        kind = _TYPE_NAMES[dtype]
        stored[checkpoint_name(name)] = StoredTensor(name, file.path, kind, tensor.shape)
    return stored


def _holds(file: GgufFile, vector: GgufTensor, dtype: torch.dtype) -> bool:
    values = read_tensor(file, vector)
    return torch.equal(values.to(dtype).float(), values)
