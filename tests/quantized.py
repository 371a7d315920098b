"""Checkpoints in 4 bits as GPTQ and AWQ write them, packed here one value at a time."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from checkpoints import WEIGHTS_NAME
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import PreTrainedModel

Words = NDArray[np.uint32]
Values = NDArray[np.int64]

_AWQ_OUTPUTS = (0, 2, 4, 6, 1, 3, 5, 7)
"""Which of eight outputs lies in the nibbles of an AWQ word, from the lowest one on."""


@dataclass(frozen=True)
class Scheme:
    """A way to quantize: `method` is gptq, gptq_v2 or awq."""

    method: str
    group: int
    symmetric: bool = False

    @property
    def settings(self) -> dict[str, object]:
        """The `quantization_config` that tells of it."""
        common = {"bits": 4, "group_size": self.group}
        if self.method == "awq":
            return common | {"quant_method": "awq", "zero_point": True, "version": "gemm"}
        return common | {
            "quant_method": "gptq",
            "checkpoint_format": self.method,
            "desc_act": False,
            "sym": self.symmetric,
        }


def quantize_checkpoint(folder: Path, scheme: Scheme, peer: PreTrainedModel) -> None:
    """Rewrite a folder's projections in 4 bits, and give `peer` the weights that they stand for."""
    tensors = load_file(folder / WEIGHTS_NAME)
    parameters = dict(peer.named_parameters())
    for name in list(tensors):
        if not name.endswith("_proj.weight"):
            continue
        weight = tensors.pop(name)
        weight[1].abs_()  # Of one sign: the zero point is 0.
        q, zero, scale = rounded(weight, scheme)
        tensors |= packed(name.removesuffix(".weight"), q, zero, scale, scheme)
        wide = (q - np.repeat(zero, scheme.group, axis=1)) * np.repeat(scale, scheme.group, axis=1)
        with torch.no_grad():
            parameters[name].copy_(torch.from_numpy(wide.astype(np.float32)))
    save_file(tensors, folder / WEIGHTS_NAME)
    config = json.loads((folder / "config.json").read_text())
    config["quantization_config"] = scheme.settings
    (folder / "config.json").write_text(json.dumps(config))


def rounded(weight: Tensor, scheme: Scheme) -> tuple[Values, Values, NDArray[np.float64]]:
    """Values `[out, in]`, zero points and scales `[out, groups]`, the scales exact in fp16."""
    grouped = weight.double().numpy().reshape(weight.shape[0], -1, scheme.group)
    if scheme.symmetric:
        scale = np.abs(grouped).max(-1) / 7
        zero = np.full(scale.shape, 8)
    else:
        low, high = np.minimum(grouped.min(-1), 0), np.maximum(grouped.max(-1), 0)
        scale = (high - low) / 15
        zero = np.rint(-low / scale).astype(np.int64)
    scale = scale.astype(np.float16).astype(np.float64)
    q = np.clip(np.rint(grouped / scale[..., None]) + zero[..., None], 0, 15)
    return q.reshape(weight.shape).astype(np.int64), zero.astype(np.int64), scale


def packed(
    name: str, q: Values, zero: Values, scale: NDArray[np.float64], scheme: Scheme
) -> dict[str, Tensor]:
    """The tensors of one layer, under the names of its method."""
    outputs, inputs = q.shape
    stored = {f"{name}.scales": torch.from_numpy(scale.T.astype(np.float16).copy())}
    if scheme.method == "awq":
        stored[f"{name}.qweight"] = _words(_across_outputs(q.T, _AWQ_OUTPUTS))
        stored[f"{name}.qzeros"] = _words(_across_outputs(zero.T, _AWQ_OUTPUTS))
        return stored
    down = np.zeros((inputs // 8, outputs), dtype=np.uint32)
    for column in range(inputs):
        down[column // 8] |= (q[:, column] << 4 * (column % 8)).astype(np.uint32)
    # Zero points of the first version are stored less 1, in 4 bits.
    offset = 1 if scheme.method == "gptq" else 0
    stored[f"{name}.qweight"] = _words(down)
    stored[f"{name}.qzeros"] = _words(_across_outputs((zero.T - offset) & 15, tuple(range(8))))
    stored[f"{name}.g_idx"] = torch.arange(inputs, dtype=torch.int32) // scheme.group
    return stored


def _across_outputs(values: Values, order: tuple[int, ...]) -> Words:
    """`[n, out]` to `[n, out/8]`: nibble `k` of a word holds the output `order[k]` of its eight."""
    words = np.zeros((values.shape[0], values.shape[1] // 8), dtype=np.uint32)
    for column in range(values.shape[1]):
        nibble = order.index(column % 8)
        words[:, column // 8] |= (values[:, column] << 4 * nibble).astype(np.uint32)
    return words


def _words(words: Words) -> Tensor:
    return torch.from_numpy(words.view(np.int32).copy())
