"""Products by each algorithm that cuBLAS offers, against torch's, launched and in graphs."""

from pathlib import Path
from typing import Never

import pytest
import torch
from prodtop.engine.kernels.linear import cublas_choice as product_choice
from prodtop.engine.kernels.linear.cublas_choice import (
    AlgorithmChoices,
    choose_algorithms,
    multiply_as_chosen,
)
from prodtop.engine.kernels.linear.cublas_lt import (
    FP8,
    CublasLt,
    ProductShape,
    loaded_cublas_lt,
    loaded_library,
)
from prodtop.engine.kernels.linear.cublas_trial import Calls, time_on_device
from prodtop.engine.kernels.linear.linear import linear
from prodtop.engine.precision.linear import DenseLinear
from torch import Tensor

ROWS = [65, 100, 200, 256]
SHAPES = [(6144, 4096), (1024, 2048), (384, 1032)]


@pytest.fixture(scope="module")
def lt() -> CublasLt:
    library = loaded_cublas_lt()
    assert library is not None
    return CublasLt(library, torch.device("cuda", 0))


@pytest.fixture(autouse=True)
def _nothing_choices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(product_choice, "_choices", {})


def random(*shape: int, seed: int, dtype: torch.dtype = torch.bfloat16) -> Tensor:
    values = torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
    return values.to(dtype).to("cuda:0")


def error(y: Tensor, expected: Tensor) -> float:
    return float((y.double() - expected).norm() / expected.norm())


def test_only_a_library_that_is_loaded_is_found() -> None:
    assert loaded_library("libtorch_cpu.so") is not None
    assert loaded_library("libnobody-has-loaded.so.1") is None


def test_without_cuda_in_torch_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.version, "cuda", None)
    assert loaded_cublas_lt() is None


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize(("features", "inputs"), SHAPES)
@pytest.mark.parametrize("rows", ROWS)
def test_every_algorithm_is_right_alone_and_added(
    rows: int, features: int, inputs: int, dtype: torch.dtype, lt: CublasLt
) -> None:
    weight = random(features, inputs, seed=1, dtype=dtype) / 64
    x = random(rows, inputs, seed=2, dtype=dtype)
    residual = random(rows, features, seed=3, dtype=dtype)
    expected = x.double() @ weight.double().T
    product = lt.product(ProductShape(rows, features, inputs, dtype))
    algorithms = product.algorithms()
    assert len(set(algorithms)) == len(algorithms) > 0
    assert product.takes(x, weight, residual)
    for algorithm in algorithms:
        out, added = torch.full_like(residual, torch.nan), residual.clone()
        product.run(algorithm, x, weight, out, False)
        product.run(algorithm, x, weight, added, True)
        assert error(out, expected) < 0.005
        assert error(added, expected + residual.double()) < 0.005


@pytest.mark.gpu
@pytest.mark.parametrize(("features", "inputs"), [(6144, 4096), (1024, 2048)])
@pytest.mark.parametrize("rows", [130, 256, 1000])
def test_every_fp8_algorithm_is_right_alone_and_added(
    rows: int, features: int, inputs: int, lt: CublasLt
) -> None:
    x, weight = (
        random(*size, seed=size[0]).to(FP8) for size in ((rows, inputs), (features, inputs))
    )
    of_rows, of_features = (random(*size, seed=4).float() for size in ((rows, 1), (1, features)))
    residual = random(rows, features, seed=3)
    expected = (x.double() @ weight.double().T) * of_rows.double() * of_features.double()
    product = lt.product(ProductShape(rows, features, inputs, FP8))
    algorithms = product.algorithms()
    assert algorithms[0] == product.first()
    assert len(algorithms) > 1
    assert product.takes(x, weight, residual)
    for algorithm in algorithms:
        out, added = torch.full_like(residual, torch.nan), residual.clone()
        product.run(algorithm, x, weight, out, False, (of_rows, of_features))
        product.run(algorithm, x, weight, added, True, (of_rows, of_features))
        assert error(out, expected) < 0.008
        assert error(added, expected + residual.double()) < 0.008


@pytest.mark.gpu
def test_what_does_not_lie_as_expected_is_not_taken(lt: CublasLt) -> None:
    product = lt.product(ProductShape(100, 384, 512, torch.bfloat16))
    x = random(101, 512, seed=1)
    assert product.takes(x)
    assert not product.takes(x, x.t())
    assert not product.takes(x.flatten()[1:])
    assert not product.takes(x.half())


@pytest.mark.gpu
def test_more_is_offered_than_the_heuristics_list(lt: CublasLt) -> None:
    product = lt.product(ProductShape(144, 4096, 4096, torch.bfloat16))
    assert len(product.algorithms()) > len(product._offers())


@pytest.mark.gpu
def test_the_same_algorithms_are_offered_each_time(lt: CublasLt) -> None:
    shape = ProductShape(200, 4096, 4096, torch.bfloat16)
    assert lt.product(shape).algorithms() == lt.product(shape).algorithms()


class LastIsFastest:
    """Finds each way faster than the one before, so that torch is not chosen."""

    def __init__(self) -> None:
        self._time_s = 1.0

    def __call__(self, calls: Calls) -> float:
        self._time_s *= 0.9
        return self._time_s


def no_time(_: Calls) -> Never:
    raise AssertionError("there is nothing to time")


@pytest.mark.gpu
@pytest.mark.parametrize("has_residual", [False, True])
@pytest.mark.parametrize("rows", ROWS)
def test_a_graph_multiplies_what_is_put_in_later(
    rows: int,
    has_residual: bool,
    lt: CublasLt,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    weight = random(4096, 4096, seed=1) / 64
    layer = DenseLinear(weight, None)
    choices = AlgorithmChoices(lt, "here", LastIsFastest(), tmp_path / "products.json")
    choices.learn([weight], [rows])
    monkeypatch.setitem(product_choice._choices, weight.device, choices)
    x, residual = random(rows, 4096, seed=2), random(rows, 4096, seed=3)
    assert multiply_as_chosen(x, weight, None) is not None
    linear(x, layer, residual.clone() if has_residual else None)
    total = residual.clone()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        y = linear(x, layer, total if has_residual else None)
    for seed in (4, 5):
        x.copy_(random(rows, 4096, seed=seed))
        total.copy_(residual)
        graph.replay()
        expected = x.double() @ weight.double().T
        assert error(y, expected + residual.double() if has_residual else expected) < 0.005


@pytest.mark.gpu
@pytest.mark.parametrize("rows", ROWS)
def test_the_next_start_multiplies_to_the_same_bits(
    rows: int, lt: CublasLt, tmp_path: Path
) -> None:
    weights = [random(1024, 2048, seed=seed) / 64 for seed in range(3)]
    x = random(rows, 2048, seed=4)
    path = tmp_path / "products.json"
    first = AlgorithmChoices(lt, "here", LastIsFastest(), path)
    first.learn(weights, [rows])
    again = AlgorithmChoices(lt, "here", no_time, path)
    again.learn(weights, [rows])
    y, same = (choices.multiply(x, weights[0], None) for choices in (first, again))
    assert y is not None
    assert same is not None
    assert torch.equal(y, same)


@pytest.mark.gpu
def test_the_device_and_not_the_host_is_timed() -> None:
    x = random(4096, 4096, seed=1)
    few: Calls = [lambda: x @ x] * 4
    many: Calls = [lambda: (x @ x, x @ x, x @ x)] * 4
    time_on_device(few)
    assert 2 < time_on_device(many) / time_on_device(few) < 4


@pytest.mark.gpu
def test_layers_are_choices_and_products_stay_right() -> None:
    layers = [DenseLinear(random(4096, 4096, seed=seed) / 64, None) for seed in range(4)]
    biased = DenseLinear(layers[0].weight, random(4096, seed=9))
    choose_algorithms([*layers, biased], [1, 96, 224, 512])
    for rows in (96, 100, 224, 512):
        x, residual = random(rows, 4096, seed=5), random(rows, 4096, seed=6)
        expected = x.double() @ layers[0].weight.double().T
        assert error(linear(x, layers[0]), expected) < 0.005
        with_bias = expected + biased.bias.double() if biased.bias is not None else expected
        assert error(linear(x, biased), with_bias) < 0.005
        assert error(linear(x, biased, residual.clone()), with_bias + residual.double()) < 0.007
