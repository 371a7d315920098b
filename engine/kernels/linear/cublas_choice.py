"""Which of cuBLAS' algorithms multiplies by a dense weight, found out by running them.

cuBLAS guesses the fastest from a product's shape, and torch takes the guess. Of what it lists next,
or does not list, one is often faster, by up to a fifth (`dispatch.tries_cublas_algorithms`).
`choose_algorithms` is called once, before anything is served or captured, with the numbers of rows
that graphs of decode steps have: it alone measures. Every later product, in a graph or not, only
looks its shape up, and is left to torch where nothing was chosen, or if torch cannot add it to a
residual (fp8), to what the heuristics name first: a prefill step of any odd number of rows costs no
measuring.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import msgspec
import torch
from torch import Tensor

from ...device.device_file import DeviceFile
from ...device.devices import device_name
from ...files.paths import data_dir
from ...precision.linear import DenseLinear, Fp8Linear, Linear
from ..common.gpu_limits import gpu_limits
from .cublas_lt import (
    DATA_TYPES,
    FP8,
    Algorithm,
    CublasError,
    CublasLt,
    ProductShape,
    Scales,
    loaded_cublas_lt,
)
from .cublas_trial import (
    CublasProduct,
    Timer,
    Trial,
    fastest,
    fastest_s,
    first_of_the_fastest,
    time_on_device,
)
from .dispatch import Product, tries_cublas_algorithms
from .weight import WeightFormat

_TORCH = "torch"
_SEARCH = 2
"""To be raised where more algorithms are tried: what fewer gave is then measured anew."""
_FINALISTS = 6
"""So many algorithms are timed as often as it takes to tell them apart, after one look at all."""
_MOST_FIRST = 4096
"""Prefill steps have any number of rows."""
_DECODER = msgspec.json.Decoder(dict[str, dict[str, str]])
SHIPPED = Path(__file__).with_name("products.json")
"""What was found out for the presets' shapes on the devices that prodtop was measured on."""

_Chosen = tuple[CublasProduct, Algorithm]


class Library(Protocol):
    """What offers algorithms for a shape: `CublasLt`."""

    def product(self, shape: ProductShape) -> CublasProduct: ...


class AlgorithmChoices:
    """The algorithms of one device, in memory and in a file that every start of prodtop shares.

    `owner` names all that a choice depends on beside the shape. Whether a product is added to a
    residual changes nothing: the heuristics do not ask. What is neither in the file at `path` nor
    among the `shipped` is measured.
    """

    def __init__(
        self,
        library: Library,
        owner: str,
        timer: Timer,
        path: Path | None = None,
        shipped: Path = SHIPPED,
    ) -> None:
        self._library = library
        self._owner = owner
        self._timer = timer
        self._file = DeviceFile(path or data_dir() / "products.json", _DECODER)
        self._names = self._file.read(owner)
        self._shipped = DeviceFile(shipped, _DECODER).read(owner)
        self._chosen: dict[ProductShape, _Chosen | None] = {}
        self._given_up: set[ProductShape] = set()
        self._first_of = lru_cache(maxsize=_MOST_FIRST)(self._first)

    def learn(self, weights: Iterable[Tensor], sizes: Iterable[int]) -> None:
        """Choose for products of each of `sizes` rows by the `weights [features, inputs]`.

        Measures where it may matter and neither this process nor the file knows. Not while a graph
        is captured.
        """
        by_shape: dict[tuple[int, int, torch.dtype], list[Tensor]] = {}
        for weight in weights:
            if weight.dtype in DATA_TYPES:
                by_shape.setdefault((*weight.shape, weight.dtype), []).append(weight)
        names_before = dict(self._names)
        for rows in sizes:
            for (features, inputs, dtype), same_shape in by_shape.items():
                shape = ProductShape(rows, features, inputs, dtype)
                tried = _is_tried(rows, same_shape[0])
                if tried and shape not in self._chosen:
                    self._chosen[shape] = self._choose(shape, same_shape)
        if self._names != names_before:
            self._file.write(self._owner, self._names)
            torch.cuda.empty_cache()

    def multiply(
        self, x: Tensor, weight: Tensor, residual: Tensor | None, scales: Scales | None = None
    ) -> Tensor | None:
        """`x [rows, in] @ weight [out, in].T`, or that added to `residual [rows, out]` in place.

        `scales` come with e4m3. `None`, and nothing done, where torch is as fast or must do it.
        """
        features, inputs = weight.shape
        shape = ProductShape(x.shape[0], features, inputs, weight.dtype)
        if shape in self._given_up:
            return None
        chosen = self._chosen.get(shape)
        if chosen is None and scales is not None and residual is not None:
            # What torch would run, but torch cannot add its product to anything.
            chosen = self._first_of(shape)
        if chosen is None:
            return None
        product, algorithm = chosen
        out = residual
        if out is None:
            out = x.new_empty(shape.rows, features, dtype=shape.out_dtype)
        if not product.takes(x, weight, out):
            return None
        try:
            product.run(algorithm, x, weight, out, residual is not None, scales)
        except CublasError:
            self._given_up.add(shape)
            return None
        return out

    def _first(self, shape: ProductShape) -> _Chosen | None:
        """What the heuristics name first."""
        try:
            product = self._library.product(shape)
            algorithm = product.first()
        except CublasError:
            return None
        return None if algorithm is None else (product, algorithm)

    def _choose(self, shape: ProductShape, weights: list[Tensor]) -> _Chosen | None:
        """What the file says, if it is still offered, or else what is measured."""
        try:
            product = self._library.product(shape)
            offered = product.algorithms()
        except CublasError:
            return None
        name = f"{shape.rows} x {shape.inputs} x {shape.features} {shape.dtype}"
        by_name = {algorithm.configuration.hex(): algorithm for algorithm in offered}
        fastest_name = self._names.get(name, self._shipped.get(name))
        if fastest_name != _TORCH and fastest_name not in by_name:
            usable = [weight for weight in weights if product.takes(weight)]
            fastest_name = self._measure(shape, product, offered, usable) if usable else None
            if fastest_name is not None:
                self._names[name] = fastest_name
        if fastest_name is None or fastest_name == _TORCH:
            return None
        return product, by_name[fastest_name]

    def _measure(
        self,
        shape: ProductShape,
        product: CublasProduct,
        offered: list[Algorithm],
        weights: list[Tensor],
    ) -> str | None:
        """The name of the fastest, torch's or an algorithm's; `None` if none is correct."""
        trial = Trial.of(shape, weights)
        if len(offered) > _FINALISTS:
            trials = [trial.by(product, algorithm) for algorithm in offered]
            offered = [offered[place] for place in fastest(trials, _FINALISTS, self._timer)]
        correct = [algorithm for algorithm in offered if trial.agrees(product, algorithm)]
        if not correct:
            return None
        trials = [trial.by_torch(), *(trial.by(product, algorithm) for algorithm in correct)]
        best = first_of_the_fastest(fastest_s(trials, self._timer))
        return correct[best - 1].configuration.hex() if best else _TORCH


def _is_tried(rows: int, weight: Tensor) -> bool:
    features, inputs = weight.shape
    weight_format: WeightFormat = "fp8" if weight.dtype is FP8 else "dense"
    product = Product(weight_format, rows, features, inputs)
    return tries_cublas_algorithms(product, gpu_limits(weight.device))


_choices: dict[torch.device, AlgorithmChoices | None] = {}
"""By device, for as long as this process lives; `None` where cublasLt cannot be had."""


def choose_algorithms(layers: Iterable[Linear], sizes: Sequence[int]) -> None:
    """Find the fastest products of dense and fp8 `layers` for each of `sizes` rows, where it may
    matter.

    `sizes` are those of decode steps; of other numbers of rows nothing is timed. All layers are on
    one device; nothing is done where that is a CPU. Not while a graph is captured.
    """
    weights = [
        layer.weight if isinstance(layer, DenseLinear) else layer.q
        for layer in layers
        if isinstance(layer, DenseLinear | Fp8Linear)
    ]
    if not weights or not weights[0].is_cuda:
        return
    if not any(_is_tried(rows, weight) for rows in sizes for weight in weights):
        return
    device = weights[0].device
    if device not in _choices:
        _choices[device] = _choices_of(device)
    choices = _choices[device]
    if choices is not None:
        choices.learn(weights, sizes)


def multiply_as_chosen(
    x: Tensor, weight: Tensor, residual: Tensor | None, scales: Scales | None = None
) -> Tensor | None:
    """`AlgorithmChoices.multiply` with what was chosen: `[rows, out]`, or `None` for torch."""
    choices = _choices.get(x.device)
    return None if choices is None else choices.multiply(x, weight, residual, scales)


def _choices_of(device: torch.device) -> AlgorithmChoices | None:
    library = loaded_cublas_lt()
    if library is None:
        return None
    try:
        lt = CublasLt(library, device)
    except CublasError:
        return None
    versions = f"torch {torch.__version__}", f"cuBLAS {lt.version}", f"search {_SEARCH}"
    return AlgorithmChoices(lt, ", ".join((device_name(device), *versions)), time_on_device)
