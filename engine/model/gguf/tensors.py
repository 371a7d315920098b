"""The tensors of a GGUF file by the names of a checkpoint, in the order of a checkpoint's rows.

llama.cpp turns neighbouring dimensions of a head in the architecture `llama`, where a checkpoint
turns the first half of a head with the second: its converter reorders the rows of query and key
(`LlamaModel.permute`), and that is undone here.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from .dequantize import dequantize
from .reader import GgufFile, GgufTensor, tensor_bytes

_WHOLE = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "output": "lm_head",
}
_OF_A_LAYER = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_LAYER_NAME = re.compile(r"blk\.(0|[1-9][0-9]{0,5})\.([a-z_]+)\.(weight|bias)")


def checkpoint_name(name: str) -> str:
    """The name that a checkpoint gives to the tensor `name`; one without a place keeps its own."""
    match = _LAYER_NAME.fullmatch(name)
    if match is not None and match[2] in _OF_A_LAYER:
        return f"model.layers.{match[1]}.{_OF_A_LAYER[match[2]]}.{match[3]}"
    stem, _, end = name.rpartition(".")
    return f"{_WHOLE[stem]}.{end}" if stem in _WHOLE else name


def read_tensor(file: GgufFile, tensor: GgufTensor) -> Tensor:
    """The values of a tensor as the file orders them; see `dequantize`."""
    return dequantize(tensor_bytes(file, tensor), tensor.type, tensor.shape)


@dataclass(frozen=True, slots=True)
class GgufWeights:
    """The tensors of a file by its own names, with the rows of query and key in their order.

    `turned_heads` are the numbers of heads of the tensors whose rows the converter reordered.
    """

    file: GgufFile
    turned_heads: Mapping[str, int]

    def get_tensor(self, name: str) -> Tensor:
        """The values of the tensor `name`, `[*shape]`."""
        values = read_tensor(self.file, self.file.tensors[name])
        part = name.partition(".attn_")[2].partition(".")[0]
        heads = self.turned_heads.get(part)
        return values if heads is None else unpermuted(values, heads)

    @contextmanager
    def open(self, path: Path) -> Iterator["GgufWeights"]:
        """The weights for as long as they are read; `path` is their one file."""
        del path
        yield self


def unpermuted(values: Tensor, heads: int) -> Tensor:
    """`[heads * head_dim, ...]` with each head's rows in a checkpoint's order.

    Row `2 i + half` of a head is row `half * head_dim / 2 + i` of the checkpoint's.
    """
    rows = values.shape[0]
    if rows % (2 * heads):
        return values
    pairs = values.reshape(heads, rows // heads // 2, 2, *values.shape[1:])
    return pairs.transpose(1, 2).reshape(values.shape)
