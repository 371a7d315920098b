"""int4 weights calibrated on a text: what every layer's inputs are there decides the rounding.

Layer after layer, as in GPTQ (Frantar et al. 2022): the text's hidden states go through the layer
at bf16, which gives the inputs of its four matrices, the matrices are rounded, and the states that
the next layer sees come from the rounded layer.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ..model.decoder import Decoder, DecoderLayer
from ..model.weights import MasterWeights
from ..ops.step_ops import StepOps
from ..precision.gptq import damped, gptq_int4
from ..precision.int4_descent import descend
from ..precision.int4_rounding import INT4_STORAGE, int4_group
from ..precision.levels import lay_out_int4
from ..precision.linear import Linear
from ..precision.projection import AnyProjection, master_weight
from ..precision.quantize import Int4Weight
from ..protocol import PrecisionName
from .text_scorer import TextScorer


class InputRecorder:
    """A projection that sums up xᵀx over its inputs `[rows, in]`: fp32 `[in, in]`, a Hessian."""

    def __init__(self, linear: Linear, inputs: int, device: torch.device) -> None:
        self._linear = linear
        self.hessian = torch.zeros(inputs, inputs, device=device)

    def __call__(self, x: Tensor) -> Tensor:
        wide = x.float()
        self.hessian.addmm_(wide.t(), wide)
        return self._linear(x)

    def tensors(self) -> list[Tensor]:
        return self._linear.tensors()


class Calibration:
    """Rounds a model's matrices one after the other. Afterwards it is an `Int4Rounding`.

    What it keeps takes a byte a weight, on the device.
    """

    def __init__(
        self, master: MasterWeights, device: torch.device, group: int | None = None
    ) -> None:
        self._master, self._device, self._group = master, device, group
        self._rounded: dict[int, Int4Weight] = {}

    def __call__(self, projection: AnyProjection, device: torch.device) -> Int4Weight:
        """What a matrix of the master copy was rounded to. Raises KeyError before it has been."""
        narrow = self._rounded[id(projection)]
        q = narrow.q.to(device, torch.int32)
        return Int4Weight(q, narrow.scale.to(device), narrow.zero.to(device))

    @staticmethod
    def pieces(master: MasterWeights, sequences: int) -> int:
        """How often `run` yields."""
        return len(master.layers) * (2 * sequences + 4)

    def run(self, sequences: Sequence[list[int]]) -> Iterator[None]:
        """Yield after each piece of work. The sequences of token ids are of one length.

        Raises `BadInputError` where the text does not do, `PrecisionUnavailableError` for a layer
        whose shape does not fit.
        """
        length = len(sequences[0])
        decoder = Decoder(self._master, PrecisionName.BF16, self._device, length)
        scorer = TextScorer(decoder, length)
        with torch.inference_mode():
            ops = scorer.prepare(sequences[0])[1]
            ids = [torch.tensor(tokens, device=self._device) for tokens in sequences]
            states = [decoder.embed(tokens, ops) for tokens in ids]
        for layer, weights, kv in zip(decoder.layers, self._master.layers, scorer.kv, strict=True):
            recorders = [
                InputRecorder(linear, master_weight(projection).shape[1], self._device)
                for linear, projection in zip(
                    layer.projections(), weights.projections(), strict=True
                )
            ]
            yield from _through(decoder, _with(layer, recorders), [*states], ops, kv)
            rounded: list[Linear] = []
            for projection, recorder in zip(weights.projections(), recorders, strict=True):
                rounded.append(self._round(projection, recorder.hessian))
                yield
            yield from _through(decoder, _with(layer, rounded), states, ops, kv)

    @torch.inference_mode()
    def _round(self, projection: AnyProjection, hessian: Tensor) -> Linear:
        weight = master_weight(projection).to(self._device)
        group = int4_group(weight.shape[1], self._group)
        start = gptq_int4(weight, hessian, group, INT4_STORAGE)
        rounded = descend(weight, start, damped(hessian), INT4_STORAGE)
        self._rounded[id(projection)] = replace(rounded, q=rounded.q.to(torch.uint8))
        bias = projection.bias
        on_device = None if bias is None else bias.to(self._device, INT4_STORAGE)
        return lay_out_int4(rounded, on_device, INT4_STORAGE)


def _with(layer: DecoderLayer, projections: Sequence[Linear]) -> DecoderLayer:
    """The layer with other projections, in the order of `DecoderLayer.projections`."""
    qkv, output, gate_up, down = projections
    return replace(layer, qkv=qkv, output=output, gate_up=gate_up, down=down)


def _through(
    decoder: Decoder, layer: DecoderLayer, states: list[Tensor], ops: StepOps, kv: Tensor
) -> Iterator[None]:
    """Replace the hidden states `[tokens, hidden]` of each sequence by what the layer makes."""
    for index, state in enumerate(states):
        with torch.inference_mode():
            states[index] = decoder.through(layer, state, ops, kv)
        yield
