"""The memory of a model's weights: how much it is, and where the master copy stays."""

from collections.abc import Sequence

import torch

from ..precision.levels import base_dtype, base_precision
from ..precision.projection import Projection
from ..probes.memory_limits import MemoryLimit
from ..protocol import PrecisionName
from ..protocol.errors import PrecisionUnavailableError
from ..shape.model_shape import ModelShape
from .memory_need import Part, shortage
from .weights import MasterWeights, allocate

HOST = torch.device("cpu")
DEVICE_SHARE = 0.25
"""The part of a device's memory that the master copy may take; the rest serves."""

MASTER_DTYPE = torch.bfloat16
"""What most checkpoints store, and dummy weights are."""

_LAYER_BYTES = {
    PrecisionName.FP32: 4.0,
    PrecisionName.BF16: 2.0,
    PrecisionName.FP16: 2.0,
    PrecisionName.INT8: 1.0,
    PrecisionName.INT4: 0.5,
    PrecisionName.FP8: 1.0,
}
"""Of a weight inside the layers, its share of scales left out."""


def check_switch_fits(
    config: ModelShape,
    precision: PrecisionName,
    device: torch.device,
    *,
    kv_bytes: int,
    freed_bytes: int,
    limits: Sequence[MemoryLimit],
) -> None:
    """Raise `PrecisionUnavailableError` where `device` has no room for `precision`.

    It needs weights and a KV cache of `kv_bytes`; what they replace gives `freed_bytes` back.
    `limits` are those of `device`.
    """
    parts = [
        Part(f"{precision} weights", packed_bytes(config, precision)),
        Part("KV cache", kv_bytes),
    ]
    reason = shortage(parts, limits, freed_bytes)
    if reason is not None:
        raise PrecisionUnavailableError(f"{precision} {reason}")


def master_device(config: ModelShape, dtype: torch.dtype, device: torch.device) -> torch.device:
    """`device` where a master copy in `dtype` takes little of its memory, and the host elsewhere.

    From a device's own memory a model of 8 billion parameters is quantized in a fraction of a
    second, and at the checkpoint's own precision the layers *are* the master copy. From the host it
    crosses the bus at each switch, which takes seconds.
    """
    if device.type != "cuda":
        return HOST
    total_bytes = torch.cuda.get_device_properties(device).total_memory
    return device if fits_device(config.parameters * dtype.itemsize, total_bytes) else HOST


def fits_device(master_bytes: int, total_bytes: int) -> bool:
    """Whether a device of `total_bytes` has room for the master copy beside what it serves."""
    return master_bytes <= DEVICE_SHARE * total_bytes


def stored_bytes(config: ModelShape, dtype: torch.dtype = MASTER_DTYPE) -> int:
    """Bytes of the master copy in `dtype`: those of the tensors that would be allocated.

    Raises `CheckpointError` for 4-bit groups that do not fit the layers.
    """
    tensors = _unallocated(config, dtype).tensors()
    # A tied head is the embedding itself.
    return sum({id(tensor): tensor.nbytes for tensor in tensors}.values())


def packed_bytes(config: ModelShape, precision: PrecisionName) -> float:
    """Bytes of what a device computes `precision` with, beside the master copy, at the least.

    The head is packed anew; the embedding table of fp32 is not the master copy's.
    """
    tables = 2 if precision is PrecisionName.FP32 else 1
    table_bytes = config.vocabulary * config.hidden * base_dtype(precision).itemsize
    dense = _dense_weights(config, precision)
    packed = config.linear_parameters - dense
    base_bytes = _LAYER_BYTES[base_precision(precision)]
    return packed * _LAYER_BYTES[precision] + dense * base_bytes + tables * table_bytes


def _dense_weights(config: ModelShape, precision: PrecisionName) -> int:
    """How many weights in the layers int4 leaves as a 4-bit checkpoint has them: not packed."""
    int4 = config.stored.int4
    if precision is not PrecisionName.INT4 or int4 is None or not int4.dense:
        return 0
    projections = _unallocated(config, MASTER_DTYPE).projections()
    return sum(each.weight.numel() for each in projections if isinstance(each, Projection))


def _unallocated(config: ModelShape, dtype: torch.dtype) -> MasterWeights:
    """The master copy without its memory."""
    with torch.device("meta"):
        return allocate(config, dtype)
