"""The algorithms of one product, tried against each other and against torch on the device."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import cycle, islice
from typing import Protocol

import torch
from torch import Tensor

from .cublas_lt import FP8, Algorithm, CublasError, ProductShape, Scales

Calls = Sequence[Callable[[], object]]
Timer = Callable[[Calls], float]
"""Seconds on the device for each of some calls, on average."""

_WORTH_WHILE = 1.02
"""How much faster an algorithm must be than one before it: less is noise, which would make another
choice, and so other roundings, at the next start."""
_LARGEST_ERROR = 0.01
"""Relative to torch's product: twice what rounding to bf16 in another order of sums comes to."""
_ROUNDS = 3
_BYTES_IN_TURN = 1 << 29
"""Weights go by in turn until this many were read: none is then in the L2 cache any more."""
_CALLS = (4, 32)
_QUEUEING_CYCLES = 100_000
"""Clock cycles in which the host has surely launched one product: 50 µs."""


class CublasProduct(Protocol):
    """Products of one shape: `LtProduct`."""

    def algorithms(self) -> list[Algorithm]: ...

    def takes(self, *tensors: Tensor) -> bool: ...

    def first(self) -> Algorithm | None: ...

    def run(
        self,
        algorithm: Algorithm,
        x: Tensor,
        weight: Tensor,
        out: Tensor,
        add: bool,
        scales: Scales | None = None,
    ) -> None: ...


@dataclass(frozen=True, slots=True)
class Trial:
    """An input `x [rows, inputs]`, the weights it is multiplied by, and room for the product."""

    x: Tensor
    weights: list[Tensor]
    out: Tensor
    expected: Tensor
    """torch's product by the first weight."""
    scales: Scales | None
    """Of e4m3: none of them 1, none alike."""

    @classmethod
    def of(cls, shape: ProductShape, weights: list[Tensor]) -> "Trial":
        """Weights `[features, inputs]` come from memory: more in turn than an L2 cache holds."""
        first = weights[0]
        source = torch.Generator(first.device).manual_seed(0)
        size = (shape.rows, shape.inputs)
        x = torch.randn(size, generator=source, device=first.device).to(shape.dtype)
        fewest, most = _CALLS
        calls = max(fewest, min(most, _BYTES_IN_TURN // first.nbytes))
        turn = list(islice(cycle(weights), calls))
        out = first.new_empty(shape.rows, shape.features, dtype=shape.out_dtype)
        scales = None
        if shape.dtype is FP8:
            of_rows, of_features = (
                torch.rand(size, generator=source, device=first.device) + 0.5
                for size in ((shape.rows, 1), (1, shape.features))
            )
            scales = of_rows, of_features
        return cls(x, turn, out, expected=by_torch(x, first, scales), scales=scales)

    def agrees(self, product: CublasProduct, algorithm: Algorithm) -> bool:
        """Whether it computes torch's product, alone and added to something."""
        weight, out, expected = self.weights[0], self.out, self.expected
        try:
            product.run(algorithm, self.x, weight, out.fill_(math.nan), False, self.scales)
            alone = _error(out.sub_(expected), expected)
            product.run(algorithm, self.x, weight, out.copy_(expected), True, self.scales)
        except CublasError:
            return False
        added = _error(out.sub_(expected, alpha=2), expected)
        return alone < _LARGEST_ERROR and added < _LARGEST_ERROR

    def by(self, product: CublasProduct, algorithm: Algorithm) -> Calls:
        """The products, by an algorithm."""
        return [
            partial(product.run, algorithm, self.x, weight, self.out, False, self.scales)
            for weight in self.weights
        ]

    def by_torch(self) -> Calls:
        """The products, as torch does them."""
        if self.scales is not None:
            return [partial(by_torch, self.x, weight, self.scales) for weight in self.weights]
        return [partial(torch.mm, self.x, weight.t(), out=self.out) for weight in self.weights]


def by_torch(
    x: Tensor,
    weight: Tensor,
    scales: Scales | None,
    dtype: torch.dtype = torch.bfloat16,
    bias: Tensor | None = None,
) -> Tensor:
    """`x [rows, inputs]` by `weight [features, inputs]`.

    With `scales` both are e4m3, and the product is in `dtype` and has a `bias [features]` added.
    """
    if scales is None:
        return torch.mm(x, weight.t())
    of_rows, of_features = scales
    return torch._scaled_mm(
        x,
        weight.t(),
        scale_a=of_rows,
        scale_b=of_features,
        bias=bias,
        out_dtype=dtype,
        use_fast_accum=True,
    )


def _error(difference: Tensor, expected: Tensor) -> float:
    norms = [torch.linalg.vector_norm(t, dtype=torch.float32) for t in (difference, expected)]
    ratio: float = (norms[0] / norms[1]).item()
    return ratio


def fastest(trials: Sequence[Calls], count: int, timer: Timer) -> list[int]:
    """The places of the `count` trials that are fastest at one look, in their order."""
    times_s = [_time_s(calls, timer) for calls in trials]
    return sorted(sorted(range(len(trials)), key=times_s.__getitem__)[:count])


def _time_s(calls: Calls, timer: Timer) -> float:
    try:
        return timer(calls)
    except CublasError:
        return math.inf


def fastest_s(trials: Sequence[Calls], timer: Timer) -> list[float]:
    """The shortest time of each, in seconds; they take turns, as the device's clock changes."""
    rounds = [[timer(calls) for calls in trials] for _ in range(_ROUNDS)]
    return [min(times) for times in zip(*rounds, strict=True)]


def first_of_the_fastest(times_s: Sequence[float]) -> int:
    """The place of the first that no other beats by as much as is worth while."""
    bound = min(times_s) * _WORTH_WHILE
    return next(place for place, time_s in enumerate(times_s) if time_s <= bound)


def time_on_device(calls: Calls) -> float:
    """Seconds that the current device takes for each of `calls`, one right after the other."""
    begun, done = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    # The device waits until all are launched: what is timed is not how fast the host is.
    torch.cuda._sleep(_QUEUEING_CYCLES * len(calls))
    begun.record()
    for call in calls:
        call()
    done.record()
    done.synchronize()
    elapsed_ms: float = begun.elapsed_time(done)
    return elapsed_ms / 1e3 / len(calls)
