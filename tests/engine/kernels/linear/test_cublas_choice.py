"""Which algorithm multiplies: the fastest that is right, the same at each start, or torch."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from itertools import cycle
from pathlib import Path

import msgspec
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from prodtop.engine.kernels.common.gpu_limits import HOPPER
from prodtop.engine.kernels.linear.cublas_choice import (
    SHIPPED,
    AlgorithmChoices,
    choose_algorithms,
    multiply_as_chosen,
)
from prodtop.engine.kernels.linear.cublas_lt import (
    FP8,
    Algorithm,
    CublasError,
    ProductShape,
    Scales,
)
from prodtop.engine.kernels.linear.cublas_trial import Calls, first_of_the_fastest
from prodtop.engine.kernels.linear.dispatch import Product, tries_cublas_algorithms
from prodtop.engine.precision.linear import DenseLinear
from prodtop.engine.serving.step_sizes import StepSizes
from torch import Tensor

OWNER = "a device, a version"
ROWS, FEATURES, INPUTS = 100, 24, 40
FIRST, SECOND, THIRD = (Algorithm(bytes([number]) * 64) for number in range(3))


@dataclass
class FakeLibrary:
    """Offers algorithms, of which some are wrong or do not run, and tells which ones ran."""

    offers: list[Algorithm] = field(default_factory=lambda: [FIRST, SECOND, THIRD])
    wrong: Algorithm | None = None
    wrong_when_added: Algorithm | None = None
    failing: Algorithm | None = None
    offers_nothing: bool = False
    aligned: bool = True
    ran: list[Algorithm] = field(default_factory=list)

    def product(self, shape: ProductShape) -> "FakeLibrary":
        return self

    def algorithms(self) -> list[Algorithm]:
        if self.offers_nothing:
            raise CublasError(15)
        return self.offers

    def takes(self, *tensors: Tensor) -> bool:
        return self.aligned

    def first(self) -> Algorithm | None:
        return next(iter(self.algorithms()), None)

    def run(
        self,
        algorithm: Algorithm,
        x: Tensor,
        weight: Tensor,
        out: Tensor,
        add: bool,
        scales: Scales | None = None,
    ) -> None:
        if algorithm == self.failing:
            raise CublasError(7)
        self.ran.append(algorithm)
        product = x.to(out.dtype) @ weight.to(out.dtype).T
        if scales is not None:
            of_rows, of_features = scales
            product = (product * of_rows * of_features).to(out.dtype)
        if algorithm == self.wrong:
            product *= 1.05
        if add and algorithm != self.wrong_when_added:
            product += out
        out.copy_(product)


class Stopwatch:
    """Finds the times it is told, of torch and then of each algorithm, round after round."""

    def __init__(self, *times: float) -> None:
        self._times = cycle(times)
        self.asked = 0

    def __call__(self, calls: Calls) -> float:
        self.asked += 1
        for call in calls:
            call()
        return next(self._times)


def torch_is_slow(calls: Calls) -> float:
    for call in calls:
        call()
    first = calls[0]
    return 9.0 if isinstance(first, partial) and first.func is torch.mm else 1.0


def bf16(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(torch.bfloat16)


WEIGHT = bf16(FEATURES, INPUTS, seed=1)
X = bf16(ROWS, INPUTS, seed=2)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "products.json"


def learned(
    library: FakeLibrary,
    stopwatch: Stopwatch,
    path: Path,
    owner: str = OWNER,
    sizes: Iterable[int] = (ROWS,),
) -> AlgorithmChoices:
    choices = AlgorithmChoices(library, owner, stopwatch, path)
    choices.learn([WEIGHT, WEIGHT], sizes)
    return choices


def used(choices: AlgorithmChoices, library: FakeLibrary, x: Tensor = X) -> Algorithm | None:
    """The algorithm that multiplies; `None` for torch."""
    library.ran.clear()
    product = choices.multiply(x, WEIGHT, None)
    if product is None:
        assert not library.ran
        return None
    assert torch.equal(product, x @ WEIGHT.T)
    (algorithm,) = library.ran
    return algorithm


@given(st.lists(st.floats(1e-6, 1e-3), min_size=1, max_size=9))
def test_what_is_chosen_is_as_good_as_the_fastest_and_no_earlier_one_is(times: list[float]) -> None:
    place = first_of_the_fastest(times)
    assert times[place] <= 1.02 * min(times)
    assert all(time > 1.02 * min(times) for time in times[:place])


@pytest.mark.parametrize(
    ("times", "algorithm"),
    [
        ((9.0, 8.0, 7.0, 7.5), SECOND),
        ((9.0, 9.5, 8.9, 9.1), None),
        ((9.0, 7.1, 9.0, 7.0), FIRST),
    ],
)
def test_the_first_of_the_fastest_multiplies(
    times: tuple[float, ...], algorithm: Algorithm | None, path: Path
) -> None:
    library = FakeLibrary()
    assert used(learned(library, Stopwatch(*times), path), library) == algorithm


def test_the_shortest_of_several_times_counts(path: Path) -> None:
    library = FakeLibrary(offers=[FIRST])
    disturbed = Stopwatch(9.0, 30.0, 9.0, 7.0, 9.0, 30.0)
    assert used(learned(library, disturbed, path), library) == FIRST


def test_of_many_the_slowest_at_one_look_are_not_timed_again(path: Path) -> None:
    offers = [Algorithm(bytes([number]) * 64) for number in range(12)]
    once = [12.0, 11.0, 10.0, 9.0, 8.0, 7.0, 1.0, 5.0, 5.0, 5.0, 5.0, 5.0]
    # Of the six that are left the first was only seemingly fast, and the last is the fastest.
    again = [9.0, 8.9, 8.5, 8.5, 8.5, 8.5, 7.0]
    library, stopwatch = FakeLibrary(offers=offers), Stopwatch(*once, *again * 3)
    assert used(learned(library, stopwatch, path), library) == offers[11]
    assert stopwatch.asked == len(once) + 3 * len(again)


@pytest.mark.parametrize("fault", ["wrong", "wrong_when_added", "failing"])
def test_of_many_none_at_fault_multiplies(fault: str, path: Path) -> None:
    offers = [Algorithm(bytes([number]) * 64) for number in range(8)]
    library = FakeLibrary(offers=offers, **{fault: FIRST})  # type: ignore[arg-type]  # one of three
    choices = AlgorithmChoices(library, OWNER, torch_is_slow, path)
    choices.learn([WEIGHT], [ROWS])
    assert used(choices, library) == SECOND


@pytest.mark.parametrize("fault", ["wrong", "wrong_when_added", "failing"])
def test_an_algorithm_at_fault_is_not_even_timed(fault: str, path: Path) -> None:
    library = FakeLibrary(**{fault: SECOND})  # type: ignore[arg-type]  # one of three alike
    assert used(learned(library, Stopwatch(9.0, 8.0, 7.0), path), library) == THIRD


def test_weights_that_no_algorithm_multiplies_rightly_are_left_to_torch(path: Path) -> None:
    library = FakeLibrary(offers=[FIRST], wrong=FIRST)
    stopwatch = Stopwatch(1.0)
    assert used(learned(library, stopwatch, path), library) is None
    assert stopwatch.asked == 0
    assert not path.exists()


@pytest.mark.parametrize("fault", [{"offers_nothing": True}, {"offers": []}, {"aligned": False}])
def test_where_nothing_is_offered_torch_multiplies(fault: dict[str, bool], path: Path) -> None:
    library = FakeLibrary(**fault)  # type: ignore[arg-type]  # one of three fields
    assert used(learned(library, Stopwatch(1.0), path), library) is None


def test_a_residual_is_written_over(path: Path) -> None:
    library = FakeLibrary()
    choices = learned(library, Stopwatch(9.0, 8.0, 7.0, 9.0), path)
    residual = bf16(ROWS, FEATURES, seed=3)
    expected = X @ WEIGHT.T + residual
    assert choices.multiply(X, WEIGHT, residual) is residual
    assert torch.equal(residual, expected)


def test_other_rows_than_were_learned_are_left_to_torch_and_not_timed(path: Path) -> None:
    library, stopwatch = FakeLibrary(), Stopwatch(9.0, 8.0, 7.0, 9.0)
    choices = learned(library, stopwatch, path)
    asked = stopwatch.asked
    assert used(choices, library, X[:99]) is None
    assert stopwatch.asked == asked


def test_other_dtypes_are_left_to_torch(path: Path) -> None:
    library, stopwatch = FakeLibrary(), Stopwatch(1.0)
    choices = AlgorithmChoices(library, OWNER, stopwatch, path)
    choices.learn([WEIGHT.float()], [ROWS])
    assert choices.multiply(X.float(), WEIGHT.float(), None) is None
    assert stopwatch.asked == 0


def test_what_torch_cannot_add_is_added_by_what_torch_would_run(path: Path) -> None:
    """Of e4m3, whatever the number of rows; alone it is left to torch."""
    library = FakeLibrary()
    choices = AlgorithmChoices(library, OWNER, Stopwatch(1.0), path)
    x, weight = X.to(FP8), WEIGHT.to(FP8)
    scales = torch.rand(ROWS, 1) + 0.5, torch.rand(1, FEATURES) + 0.5
    residual = bf16(ROWS, FEATURES, seed=5)
    assert choices.multiply(x, weight, None, scales) is None
    for _ in range(2):
        added = residual.clone()
        assert choices.multiply(x, weight, added, scales) is added
        expected = residual + (x.float() @ weight.float().T) * scales[0] * scales[1]
        torch.testing.assert_close(added.float(), expected, rtol=0.05, atol=0.2)
    assert library.ran == [FIRST, FIRST]
    nothing = AlgorithmChoices(FakeLibrary(offers_nothing=True), OWNER, Stopwatch(1.0), path)
    assert nothing.multiply(x, weight, residual, scales) is None


def test_an_algorithm_that_stops_working_is_given_up(path: Path) -> None:
    library = FakeLibrary()
    choices = learned(library, Stopwatch(9.0, 8.0, 7.0, 9.0), path)
    library.failing = SECOND
    assert used(choices, library) is None
    library.failing = None
    assert used(choices, library) is None


def test_what_torch_would_run_is_given_up_as_well(path: Path) -> None:
    library = FakeLibrary(failing=FIRST)
    choices = AlgorithmChoices(library, OWNER, Stopwatch(1.0), path)
    x, weight, residual = X.to(FP8), WEIGHT.to(FP8), bf16(ROWS, FEATURES, seed=5)
    scales = torch.ones(ROWS, 1), torch.ones(1, FEATURES)
    assert choices.multiply(x, weight, residual, scales) is None
    library.failing = None
    assert choices.multiply(x, weight, residual, scales) is None
    assert library.ran == []


@pytest.mark.parametrize("times", [(9.0, 8.0, 7.0, 9.0), (1.0, 8.0, 7.0, 9.0)])
def test_the_next_start_chooses_the_same_and_times_nothing(
    times: tuple[float, ...], path: Path
) -> None:
    library = FakeLibrary()
    first = used(learned(library, Stopwatch(*times), path), library)
    # Offered in another order, and by now faster.
    library.offers = [THIRD, SECOND, FIRST]
    stopwatch = Stopwatch(5.0, 5.0, 5.0, 1.0)
    assert used(learned(library, stopwatch, path), library) == first
    assert stopwatch.asked == 0


def test_learning_again_times_only_what_is_new(path: Path) -> None:
    library, stopwatch = FakeLibrary(), Stopwatch(9.0, 8.0, 7.0, 9.0)
    choices = learned(library, stopwatch, path)
    once = stopwatch.asked
    choices.learn([WEIGHT], [ROWS])
    assert stopwatch.asked == once
    choices.learn([WEIGHT], [ROWS, ROWS + 12])
    assert stopwatch.asked == 2 * once


def test_what_is_no_longer_offered_is_timed_anew(path: Path) -> None:
    library = FakeLibrary()
    learned(library, Stopwatch(9.0, 8.0, 7.0, 9.0), path)
    library.offers = [FIRST, THIRD]
    assert used(learned(library, Stopwatch(9.0, 8.0, 7.0), path), library) == THIRD


def test_what_was_shipped_is_not_timed_and_what_was_measured_here_comes_first(
    path: Path, tmp_path: Path
) -> None:
    shipped = tmp_path / "shipped.json"
    learned(FakeLibrary(), Stopwatch(9.0, 3.0, 1.0, 2.0), shipped)
    library, never = FakeLibrary(), Stopwatch(1.0)
    choices = AlgorithmChoices(library, OWNER, never, path, shipped)
    choices.learn([WEIGHT], [ROWS])
    assert choices.multiply(X, WEIGHT, None) is not None
    assert library.ran == [SECOND]
    assert not never.asked
    assert not path.exists()
    learned(FakeLibrary(), Stopwatch(9.0, 3.0, 2.0, 1.0), path)
    library = FakeLibrary()
    choices = AlgorithmChoices(library, OWNER, never, path, shipped)
    choices.learn([WEIGHT], [ROWS])
    choices.multiply(X, WEIGHT, None)
    assert library.ran == [THIRD]


def test_the_shipped_choices_can_be_read() -> None:
    """A name that cublasLt does not offer is measured anew: a spoiled file would only cost time."""
    shipped = msgspec.json.decode(SHIPPED.read_bytes(), type=dict[str, dict[str, str]])
    assert shipped
    for owner, names in shipped.items():
        assert owner.count(",") == 3
        assert names
        assert all(name == "torch" or len(bytes.fromhex(name)) == 64 for name in names.values())


def test_another_version_chooses_for_itself(path: Path) -> None:
    library = FakeLibrary()
    learned(library, Stopwatch(9.0, 8.0, 7.0, 9.0), path)
    other = learned(library, Stopwatch(9.0, 6.0, 7.0, 9.0), path, owner="another version")
    assert used(other, library) == FIRST
    again = learned(library, Stopwatch(1.0), path)
    assert used(again, library) == SECOND


@pytest.mark.parametrize("content", [b"", b"[]", b'{"a device, a version": {"x": 1}}', b"\xff"])
def test_a_broken_file_is_measured_over(content: bytes, path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    library, stopwatch = FakeLibrary(), Stopwatch(9.0, 8.0, 7.0, 9.0)
    assert used(learned(library, stopwatch, path), library) == SECOND
    assert stopwatch.asked > 0
    assert used(learned(library, Stopwatch(1.0), path), library) == SECOND


def test_nothing_is_learned_on_a_cpu() -> None:
    choose_algorithms([DenseLinear(WEIGHT, None)], [ROWS])
    assert multiply_as_chosen(X, WEIGHT, None) is None


def test_few_sizes_of_decode_steps_are_measured() -> None:
    sizes = StepSizes(1024, 2048, 7_000_000_000, 1032, 512, 16).decode_rows
    for features, least in ((4096, 32), (28672, 64)):

        def tried(rows: int, features: int = features) -> bool:
            return tries_cublas_algorithms(Product("dense", rows, features, 4096), HOPPER)

        assert 1 <= sum(map(tried, sizes)) <= 20
        assert not tried(least)
        assert not tried(257)
