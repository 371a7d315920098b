"""int4 weights calibrated on a text: what every layer's inputs are there decides the rounding.

Layer after layer, as in GPTQ (Frantar et al. 2022): the text's hidden states go through the layer
at bf16, which gives the inputs of its four matrices, the matrices are rounded, and the states that
the next layer sees come from the rounded layer.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..model.decoder import Decoder, DecoderLayer
from ..model.weights import LayerWeights, MasterWeights
from ..precision.gptq import gptq_int4
from ..precision.levels import base_dtype, int4_group, lay_out_int4
from ..precision.linear import Linear
from ..precision.projection import AnyProjection
from ..precision.quantize import Int4Weight
from ..precision.stored import master_weight
from ..protocol import PrecisionName
from .text_scorer import TextScorer

CALIBRATION_TOKENS = 512
"""Of each sequence."""


class _Recorder:
    """A projection that sums up xᵀx, fp32 `[in, in]`, of the inputs it is given."""

    def __init__(self, linear: Linear) -> None:
        self._linear = linear
        self.hessian: Tensor | None = None

    def __call__(self, x: Tensor) -> Tensor:
        wide = x.float()
        if self.hessian is None:
            self.hessian = wide.new_zeros(x.shape[-1], x.shape[-1])
        self.hessian.addmm_(wide.t(), wide)
        return self._linear(x)

    def tensors(self) -> list[Tensor]:
        return self._linear.tensors()


class Calibration:
    """Rounds a model's matrices one after the other; serving may go on in between."""

    def __init__(self, master: MasterWeights, device: torch.device, group: int | None) -> None:
        self._master, self._device, self._group = master, device, group
        self._rounded: dict[int, Int4Weight] = {}

    def __call__(self, projection: AnyProjection) -> Int4Weight:
        """What a matrix of the master copy was rounded to. Raises KeyError before it has been."""
        return self._rounded[id(projection)]

    def run(self, sequences: Sequence[list[int]]) -> Iterator[None]:
        """Yield after every piece of work. The sequences, of one length, are token ids."""
        decoder = Decoder(self._master, PrecisionName.BF16, self._device, len(sequences[0]))
        scorer = TextScorer(decoder, len(sequences[0]))
        with torch.inference_mode():
            _, ops = scorer.prepare(sequences[0])
            ids = [torch.tensor(tokens, device=self._device) for tokens in sequences]
            states = [decoder.embed(tokens, ops) for tokens in ids]
        for layer, weights, kv in zip(decoder.layers, self._master.layers, scorer.kv, strict=True):
            names = ("qkv", "output", "gate_up", "down")
            recorders = {name: _Recorder(getattr(layer, name)) for name in names}
            recording = replace(layer, **recorders)
            for state in states:
                with torch.inference_mode():
                    decoder.through(recording, state, ops, kv)
                yield
            rounded = {}
            for name, recorder in recorders.items():
                with torch.inference_mode():
                    rounded[name] = self._round(getattr(weights, name), recorder)
                yield
            final = replace(layer, **rounded)
            for index, state in enumerate(states):
                with torch.inference_mode():
                    states[index] = decoder.through(final, state, ops, kv)
                yield

    def _round(self, projection: AnyProjection, recorder: _Recorder) -> Linear:
        weight = master_weight(projection).to(self._device)
        group = self._group or int4_group(weight.shape[1])
        dtype = base_dtype(PrecisionName.INT4)
        assert recorder.hessian is not None
        rounded = gptq_int4(weight, recorder.hessian, group, dtype)
        self._rounded[id(projection)] = rounded
        bias = None if projection.bias is None else projection.bias.to(self._device, dtype)
        return lay_out_int4(rounded, bias, dtype)
