"""cuBLAS' products by an algorithm of the caller's choice: a binding to the library torch loaded.

torch always runs the algorithm that cuBLAS' heuristics name first. cublasLt lists a few more, and
takes others that it does not list (NVIDIA, cuBLAS documentation, "Using the cuBLASLt API").
Matrices are column by column there: a row-major `x @ weightᵀ` is its `weightᵀ · x`, the transpose
of the same memory.
"""

import os
from ctypes import (
    CDLL,
    Structure,
    byref,
    c_float,
    c_int,
    c_int8,
    c_int32,
    c_int64,
    c_size_t,
    c_uint16,
    c_uint64,
    c_void_p,
    sizeof,
)
from dataclasses import dataclass
from weakref import finalize

import torch
from torch import Tensor

from .cublas_tiles import TileConfig, even_tiles, fp8_tiles

FP8 = torch.float8_e4m3fn
DATA_TYPES = {torch.bfloat16: 14, torch.float16: 2, FP8: 28}
"""What is multiplied here, and its `cudaDataType_t`."""

Scales = tuple[Tensor, Tensor]
"""Of e4m3 factors: fp32 `[rows, 1]` of the activations and `[1, features]` of the weight."""

_ALIGNMENT_BYTES = 256
"""At multiples of it the heuristics expect matrices to begin."""
_WORKSPACE_BYTES = 64 << 20
_MOST_ALGORITHMS = 32
"""More than it was ever seen to list: 8."""
# cublasLt.h, cublas_api.h and library_types.h of CUDA 12 and 13.
_FLOAT32 = 0
_COMPUTE_IN_FLOAT32 = 68
_TRANSPOSED = 1
_DESC_TRANSPOSE_A = 3
_DESC_SCALES_A = 17
_DESC_SCALES_B = 18
_DESC_FAST_SUMS = 25
_DESC_SCALE_MODES = (31, 32)
_ONE_SCALE_A_ROW = 3
_PREFERENCE_MAX_WORKSPACE = 1
_CONFIG_TILE = 1
_CONFIG_SPLITS = 2
_CONFIG_REDUCTION = 3
_CONFIG_OPTION = 5
_CONFIG_CLUSTER_SHAPE = 8


class CublasError(RuntimeError):
    """A status other than success (`cublasStatus_t`)."""

    def __init__(self, status: int) -> None:
        super().__init__(f"cuBLAS returned status {status}")
        self.status = status


@dataclass(frozen=True, slots=True)
class ProductShape:
    """`x [rows, inputs]` by `weight [features, inputs]`, both of `dtype`."""

    rows: int
    features: int
    inputs: int
    dtype: torch.dtype

    @property
    def out_dtype(self) -> torch.dtype:
        """That of the product: bf16 where the factors are e4m3."""
        return torch.bfloat16 if self.dtype is FP8 else self.dtype


@dataclass(frozen=True, slots=True)
class Algorithm:
    """One way to compute a product. `configuration` is the library's own, of 64 bytes.

    It means the same to every process with this version of cuBLAS (`cublasLtMatmulAlgo_t`).
    """

    configuration: bytes


class _Configuration(Structure):
    _fields_ = [("words", c_uint64 * 8)]


class _Offer(Structure):
    """`cublasLtMatmulHeuristicResult_t`."""

    _fields_ = [
        ("algorithm", _Configuration),
        ("workspace_bytes", c_size_t),
        ("status", c_int),
        ("waves", c_float),
        ("reserved", c_int * 4),
    ]


class CublasLt:
    """The library on one device, with the workspace that its products share.

    One workspace does for the kernels of one stream. It lives on, as graphs keep pointing at it:
    make this while no graph is captured. Raises `CublasError`.
    """

    def __init__(self, library: CDLL, device: torch.device) -> None:
        self.cdll = library
        library.cublasLtGetVersion.restype = c_size_t
        self.version = int(library.cublasLtGetVersion())
        self.workspace = torch.empty(_WORKSPACE_BYTES, dtype=torch.uint8, device=device)
        with torch.cuda.device(device):
            self.handle = _Owned(library, "")

    def product(self, shape: ProductShape) -> "LtProduct":
        """Products of one shape. Raises `CublasError`."""
        return LtProduct(self, shape)


class LtProduct:
    """Products of one shape: `out = x @ weight.T`, or `out += x @ weight.T`.

    Those of e4m3 are multiplied by the scales of their rows and features. Their sums are kept in
    the tensor cores' own precision, about 14 bits of mantissa.
    """

    def __init__(self, lt: CublasLt, shape: ProductShape) -> None:
        self._lt = lt
        self._shape = shape
        sums = c_int(_COMPUTE_IN_FLOAT32), c_int(_FLOAT32)
        self._description = _Owned(lt.cdll, "MatmulDesc", *sums)
        self._description.set(_DESC_TRANSPOSE_A, c_int32(_TRANSPOSED))
        if shape.dtype is FP8:
            self._description.set(_DESC_FAST_SUMS, c_int8(1))
            for mode in _DESC_SCALE_MODES:
                self._description.set(mode, c_int32(_ONE_SCALE_A_ROW))
            # Nothing is offered for scales that lie nowhere; each run says where they are.
            for scales in (_DESC_SCALES_A, _DESC_SCALES_B):
                self._description.set(scales, c_uint64(lt.workspace.data_ptr()))

        def layout(dtype: torch.dtype, rows: int, columns: int) -> _Owned:
            sizes = c_uint64(rows), c_uint64(columns), c_int64(rows)
            return _Owned(lt.cdll, "MatrixLayout", c_int(DATA_TYPES[dtype]), *sizes)

        self._weight = layout(shape.dtype, shape.inputs, shape.features)
        self._x = layout(shape.dtype, shape.inputs, shape.rows)
        self._out = layout(shape.out_dtype, shape.features, shape.rows)
        described = self._description, self._weight, self._x, self._out, self._out
        self._problem = [lt.handle.pointer, *(each.pointer for each in described)]

    def algorithms(self) -> list[Algorithm]:
        """What may be fast: what the heuristics offer, the most promising first, then even tiles.

        Raises `CublasError`.
        """
        offers = self._offers()
        if not offers:
            return []
        # All kernels for a chip are configurations of one algorithm: any of those offered.
        shape = self._shape
        tiles = fp8_tiles(shape.rows) if shape.dtype is FP8 else even_tiles(shape.rows)
        others = (self._configured(offers[0], config) for config in tiles)
        return list(dict.fromkeys([*offers, *filter(self._runs, others)]))

    def first(self) -> Algorithm | None:
        """What the heuristics name first: what torch takes. Raises `CublasError`."""
        return next(iter(self._offers()), None)

    def _offers(self) -> list[Algorithm]:
        """What the heuristics offer. Raises `CublasError`."""
        preference = _Owned(self._lt.cdll, "MatmulPreference")
        preference.set(_PREFERENCE_MAX_WORKSPACE, c_uint64(_WORKSPACE_BYTES))
        offers, count = (_Offer * _MOST_ALGORITHMS)(), c_int()
        _check(
            self._lt.cdll.cublasLtMatmulAlgoGetHeuristic(
                *self._problem,
                preference.pointer,
                c_int(_MOST_ALGORITHMS),
                offers,
                byref(count),
            )
        )
        usable = (offer for offer in offers[: count.value] if offer.status == 0)
        return [Algorithm(bytes(offer.algorithm)) for offer in usable]

    def _runs(self, algorithm: Algorithm) -> bool:
        """Whether the library takes an algorithm for this product."""
        offer = _Offer()
        status: int = self._lt.cdll.cublasLtMatmulAlgoCheck(
            *self._problem,
            byref(_Configuration.from_buffer_copy(algorithm.configuration)),
            byref(offer),
        )
        return status == 0 and offer.workspace_bytes <= _WORKSPACE_BYTES

    def _configured(self, algorithm: Algorithm, config: TileConfig) -> Algorithm:
        """An algorithm with another tile, all inputs of which one program adds up."""
        configuration = _Configuration.from_buffer_copy(algorithm.configuration)
        values = {
            _CONFIG_TILE: c_int32(config.tile),
            _CONFIG_SPLITS: c_int32(1),
            _CONFIG_REDUCTION: c_int32(0),
            _CONFIG_OPTION: c_int32(config.option),
            _CONFIG_CLUSTER_SHAPE: c_uint16(config.cluster),
        }
        for attribute, value in values.items():
            _check(
                self._lt.cdll.cublasLtMatmulAlgoConfigSetAttribute(
                    byref(configuration), c_int(attribute), byref(value), c_size_t(sizeof(value))
                )
            )
        return Algorithm(bytes(configuration))

    def takes(self, *tensors: Tensor) -> bool:
        """Whether such tensors may be multiplied, or written to: `run`."""
        return all(
            tensor.dtype in (self._shape.dtype, self._shape.out_dtype)
            and tensor.is_contiguous()
            and tensor.data_ptr() % _ALIGNMENT_BYTES == 0
            for tensor in tensors
        )

    def run(
        self,
        algorithm: Algorithm,
        x: Tensor,
        weight: Tensor,
        out: Tensor,
        add: bool,
        scales: Scales | None = None,
    ) -> None:
        """Write the product to `out [rows, features]`, or add it to what is there.

        All three are of the shape and on the library's device, and `takes` says yes to them;
        `scales` come with e4m3. It runs on torch's current stream, and may be captured. Raises
        `CublasError`.
        """
        if scales is not None:
            of_rows, of_features = scales
            self._description.set(_DESC_SCALES_A, c_uint64(of_features.data_ptr()))
            self._description.set(_DESC_SCALES_B, c_uint64(of_rows.data_ptr()))
        configuration = _Configuration.from_buffer_copy(algorithm.configuration)
        _check(
            self._lt.cdll.cublasLtMatmul(
                self._lt.handle.pointer,
                self._description.pointer,
                byref(c_float(1.0)),
                c_void_p(weight.data_ptr()),
                self._weight.pointer,
                c_void_p(x.data_ptr()),
                self._x.pointer,
                byref(c_float(1.0 if add else 0.0)),
                c_void_p(out.data_ptr()),
                self._out.pointer,
                c_void_p(out.data_ptr()),
                self._out.pointer,
                byref(configuration),
                c_void_p(self._lt.workspace.data_ptr()),
                c_size_t(_WORKSPACE_BYTES),
                c_void_p(torch.cuda.current_stream(x.device).cuda_stream),
            )
        )


class _Owned:
    """An object of the library's, destroyed with this one. Raises `CublasError`."""

    def __init__(self, library: CDLL, kind: str, *arguments: c_int | c_uint64 | c_int64) -> None:
        self._library = library
        self._kind = kind
        self.pointer = c_void_p()
        _check(library[f"cublasLt{kind}Create"](byref(self.pointer), *arguments))
        # The end of the process takes what is left along.
        finalize(self, library[f"cublasLt{kind}Destroy"], self.pointer).atexit = False

    def set(self, attribute: int, value: c_int8 | c_int32 | c_uint64) -> None:
        """Set one attribute. Raises `CublasError`."""
        set_attribute = self._library[f"cublasLt{self._kind}SetAttribute"]
        size = c_size_t(sizeof(value))
        _check(set_attribute(self.pointer, c_int(attribute), byref(value), size))


def loaded_cublas_lt() -> CDLL | None:
    """The cublasLt of torch's CUDA; `None` where torch has none, or has it built in."""
    cuda = torch.version.cuda
    return None if cuda is None else loaded_library(f"libcublasLt.so.{cuda.split('.')[0]}")


def loaded_library(name: str) -> CDLL | None:
    """The shared library `name` if this process has loaded it: no other is looked for."""
    if not hasattr(os, "RTLD_NOLOAD"):
        return None
    try:
        return CDLL(name, mode=os.RTLD_NOLOAD)
    except OSError:
        return None


def _check(status: int) -> None:
    if status:
        raise CublasError(status)
