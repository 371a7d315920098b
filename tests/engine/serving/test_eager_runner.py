"""Plain PyTorch serves until the kernels can: nobody loses a token, whenever they take over."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from engine_harness import CHUNKED, ROOMY, SCARCE, CheckedEngine, model_of
from greedy_oracle import Case, GreedyOracle
from preparing_pieces import MadeUp, pieces_of
from prodtop.engine.model.decoder import Decoder
from prodtop.engine.protocol import PrecisionName, StrategyName
from prodtop.engine.serving.eager_runner import EagerRunner, soon_runner_for
from prodtop.engine.serving.kv_cache import KVCache
from prodtop.engine.serving.paged_runner import PagedRunner
from prodtop.engine.serving.runner import TorchRunner
from prodtop.engine.serving.settings import EngineSettings

LENGTHS = [(1, 4), (15, 3), (17, 1), (20, 5)]


@pytest.fixture(scope="module")
def cases(tiny_folder: Path) -> list[Case]:
    return GreedyOracle(tiny_folder).cases(LENGTHS, shared_prefix=16, seed=7)


def told_until_ready(served: CheckedEngine) -> list[str]:
    """What the engine says of the kernels between its steps, until they serve."""
    told = []
    while (preparing := served.engine.preparing) is not None:
        told.append(preparing.what)
        served.step()
        served.engine.prepare()
    return told


class SoonFor:
    """Makes runners that stand in for paged ones for some pieces; fails after those of `full`."""

    def __init__(self, pieces: int, full: PrecisionName | None = None) -> None:
        self._pieces = pieces
        self._full = full

    def __call__(
        self, decoder: Decoder, kv_cache: KVCache, settings: EngineSettings
    ) -> EagerRunner:
        coming = PagedRunner(decoder, kv_cache, settings, graphs=False)
        return EagerRunner(coming, self._made(decoder.precision))

    def _made(self, precision: PrecisionName) -> Iterator[MadeUp]:
        yield from pieces_of(self._pieces)
        if precision is self._full:
            raise torch.OutOfMemoryError("CUDA out of memory")


@pytest.mark.parametrize("pieces", [1, 4, 9])
@pytest.mark.parametrize("settings", [ROOMY, CHUNKED, SCARCE], ids=["roomy", "chunked", "scarce"])
def test_requests_go_on_when_the_kernels_take_over(
    settings: EngineSettings, pieces: int, tiny_folder: Path, cases: list[Case]
) -> None:
    served = CheckedEngine(
        model_of(tiny_folder),
        StrategyName.CONTINUOUS,
        settings=settings,
        runner_for=SoonFor(pieces),
    )
    engine = served.engine
    requests = [served.ask(case.prompt, case.max_tokens, ignore_eos=True) for case in cases]
    told = told_until_ready(served)
    assert told == [f"piece {number}" for number in range(pieces) if number % 2 or not number]
    assert isinstance(engine.runner, PagedRunner)
    served.drain()
    again = [served.ask(case.prompt, case.max_tokens, ignore_eos=True) for case in cases]
    served.drain()
    for asked in (requests, again):
        assert [tuple(r.output_tokens) for r in asked] == [case.output for case in cases]


def test_nothing_is_steady_before_the_kernels_serve(tiny_folder: Path, cases: list[Case]) -> None:
    """What a substitute does is not what these settings do."""
    served = CheckedEngine(model_of(tiny_folder), StrategyName.CONTINUOUS, runner_for=SoonFor(2))
    engine, clock = served.engine, served.clock

    def serve_for_a_while() -> None:
        for _ in range(40):
            served.ask(cases[1].prompt, 3, ignore_eos=True)
            served.drain()
            clock.now_s += 0.25

    serve_for_a_while()
    told_until_ready(served)
    assert engine.metrics.switches.steady(clock.now_s) is None
    serve_for_a_while()
    assert engine.metrics.switches.steady(clock.now_s) is not None


def test_without_memory_for_the_kernels_the_precision_before_serves_again(
    tiny_folder: Path, cases: list[Case]
) -> None:
    served = CheckedEngine(
        model_of(tiny_folder),
        StrategyName.CACHED,
        runner_for=SoonFor(2, full=PrecisionName.BF16),
    )
    engine = served.engine
    requests = [served.ask(case.prompt, case.max_tokens, ignore_eos=True) for case in cases]
    served.step()
    engine.set_precision(PrecisionName.BF16)
    told_until_ready(served)
    assert engine.precision is PrecisionName.FP32
    assert engine.notes == ["bf16 does not fit into the device's memory: staying at fp32"]
    served.drain()
    assert [len(r.output_tokens) for r in requests] == [case.max_tokens for case in cases]
    again = [served.ask(case.prompt, case.max_tokens, ignore_eos=True) for case in cases]
    served.drain()
    assert [tuple(r.output_tokens) for r in again] == [case.output for case in cases]


def test_without_memory_from_the_start_the_error_passes(tiny_folder: Path) -> None:
    served = CheckedEngine(
        model_of(tiny_folder),
        StrategyName.CONTINUOUS,
        runner_for=SoonFor(1, full=PrecisionName.FP32),
    )
    with pytest.raises(torch.OutOfMemoryError):
        served.engine.prepare()


def test_the_warm_up_of_a_paged_runner_is_such_pieces(tiny_folder: Path, cases: list[Case]) -> None:
    def soon(decoder: Decoder, kv_cache: KVCache, settings: EngineSettings) -> EagerRunner:
        coming = PagedRunner(decoder, kv_cache, settings, graphs=False)
        return EagerRunner(coming, coming.warm_up.pieces())

    served = CheckedEngine(model_of(tiny_folder), StrategyName.CONTINUOUS, runner_for=soon)
    requests = [served.ask(case.prompt, case.max_tokens, ignore_eos=True) for case in cases]
    told = told_until_ready(served)
    assert told[0] == "compiling kernels"
    assert set(told) <= {"compiling kernels", "timing products", "running kernels once"}
    assert isinstance(served.engine.runner, PagedRunner)
    served.drain()
    assert [tuple(r.output_tokens) for r in requests] == [case.output for case in cases]


def test_a_cpu_has_nothing_to_wait_for(tiny_folder: Path) -> None:
    served = CheckedEngine(
        model_of(tiny_folder), StrategyName.CONTINUOUS, runner_for=soon_runner_for
    )
    assert type(served.engine.runner) is TorchRunner
    assert served.engine.preparing is None
    served.engine.prepare()
    assert type(served.engine.runner) is TorchRunner


@pytest.mark.gpu
@pytest.mark.parametrize("precision", PrecisionName)
def test_a_gpu_serves_before_its_kernels_are_compiled(
    precision: PrecisionName, tiny_folder: Path, cases: list[Case]
) -> None:
    served = CheckedEngine(
        model_of(tiny_folder),
        StrategyName.HYBRID,
        precision,
        runner_for=soon_runner_for,
        device=torch.device("cuda", 0),
    )
    engine = served.engine
    requests = [served.ask(case.prompt, case.max_tokens, ignore_eos=True) for case in cases]
    told_until_ready(served)
    assert isinstance(engine.runner, PagedRunner)
    served.drain()
    assert [len(r.output_tokens) for r in requests] == [case.max_tokens for case in cases]
    if precision is PrecisionName.FP32:
        assert [tuple(r.output_tokens) for r in requests] == [case.output for case in cases]
