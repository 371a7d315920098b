"""The runner that works ahead, under Triton's interpreter: the same outputs as plain PyTorch."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from engine_harness import CHUNKED, ROOMY, SCARCE, CheckedEngine, model_of
from greedy_oracle import Case, GreedyOracle
from known_outputs import ALWAYS, KNOWN, KnownOutputs
from prodtop.engine.kernels.attention.gather_plan import KEY_TILE, GatherRule
from prodtop.engine.kernels.attention.gathered_keys import GatheredKeys
from prodtop.engine.kernels.attention.prefill_tiles import PrefillTile
from prodtop.engine.model.decoder import Decoder
from prodtop.engine.ops.step_layout import DeviceStep, StepLayout
from prodtop.engine.ops.step_ops import StepOps
from prodtop.engine.precision.linear import Linear
from prodtop.engine.protocol import SpeculationSpec, StrategyName
from prodtop.engine.serving import paged_runner as module
from prodtop.engine.serving import step_graphs, warm_up
from prodtop.engine.serving.kv_cache import KVCache
from prodtop.engine.serving.paged_runner import LaunchedStep, PagedRunner
from prodtop.engine.serving.request import Status
from prodtop.engine.serving.settings import EngineSettings
from prodtop.engine.serving.speculation import Speculation
from prodtop.engine.serving.step_graphs import Compute, empty_step
from prodtop.engine.serving.step_plan import Chunk
from prodtop.engine.worker.figures import read_memory
from torch import Tensor

LENGTHS = [(1, 4), (15, 3), (17, 1), (20, 5)]


def launched_one_by_one(
    decoder: Decoder, kv_cache: KVCache, settings: EngineSettings
) -> PagedRunner:
    return PagedRunner(decoder, kv_cache, settings, graphs=False)


class ReplayedByHand:
    """Graphs that compute their step anew at each replay: what they read and write is the same."""

    most = 1000

    def __init__(self, largest: StepLayout, compute: Compute, sampled: Tensor) -> None:
        self._compute = compute
        self._device = sampled.device
        self._graphs: dict[tuple[StepLayout, bool], OneByHand] = {}

    def get(self, layout: StepLayout, filtered: bool) -> "OneByHand | None":
        graph = self._graphs.get((layout, filtered))
        if graph is None and len(self._graphs) < self.most:
            words = empty_step(layout, self._device)
            graph = self._graphs[layout, filtered] = OneByHand(
                words, layout, filtered, self._compute
            )
        return graph


@dataclass(frozen=True)
class OneByHand:
    words: Tensor
    layout: StepLayout
    filtered: bool
    compute: Compute

    def replay(self) -> None:
        self.compute(DeviceStep.over(self.words, self.layout), self.filtered)


@pytest.fixture(scope="module")
def cases(tiny_folder: Path) -> list[Case]:
    return GreedyOracle(tiny_folder).cases(LENGTHS, shared_prefix=16, seed=7)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        (StrategyName.CONTINUOUS, SCARCE),
        (StrategyName.CONTINUOUS, CHUNKED),
        (StrategyName.BATCHED, ROOMY),
    ],
    ids=["scarce", "chunked", "gang"],
)
def test_a_step_ahead_says_what_transformers_says(
    name: StrategyName, settings: EngineSettings, tiny_folder: Path, cases: list[Case]
) -> None:
    served = CheckedEngine(
        model_of(tiny_folder), name, settings=settings, runner_for=launched_one_by_one
    )
    requests = [served.ask(case.prompt, case.max_tokens, ignore_eos=True) for case in cases]
    served.drain()
    assert [tuple(r.output_tokens) for r in requests] == [case.output for case in cases]


@pytest.mark.parametrize(
    ("settings", "drafts"),
    [(ROOMY, None), (CHUNKED, ALWAYS), (SCARCE, ALWAYS)],
    ids=["roomy", "chunked-drafts", "scarce-drafts"],
)
def test_padded_steps_say_what_transformers_says(
    settings: EngineSettings,
    drafts: SpeculationSpec | None,
    tiny_folder: Path,
    cases: list[Case],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "StepGraphs", ReplayedByHand)
    served = CheckedEngine(
        model_of(tiny_folder),
        StrategyName.CONTINUOUS,
        settings=replace(settings, speculation=drafts),
        runner_for=PagedRunner,
    )
    requests = [served.ask(case.prompt, case.max_tokens, ignore_eos=True) for case in cases]
    served.drain()
    assert [tuple(r.output_tokens) for r in requests] == [case.output for case in cases]


@pytest.mark.parametrize(
    ("settings", "drafts"), [(ROOMY, None), (CHUNKED, ALWAYS)], ids=["roomy", "chunked-drafts"]
)
def test_steps_that_gather_their_keys_say_what_transformers_says(
    settings: EngineSettings,
    drafts: SpeculationSpec | None,
    tiny_folder: Path,
    cases: list[Case],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gathered: list[int] = []
    plain: Callable[..., None] = GatheredKeys.gather

    def gather(*arguments: object, **named: object) -> None:
        gathered.append(len(arguments))
        plain(*arguments, **named)

    def of(
        context: int, budget: int, heads: int, kv_heads: int, head_dim: int, *_: object
    ) -> object:
        stale = torch.full((20 * KEY_TILE, 2, kv_heads, head_dim), float("nan"))
        return GatheredKeys(stale, PrefillTile(rows=16, keys=KEY_TILE, warps=4, stages=2))

    monkeypatch.setattr(GatheredKeys, "of", of)
    monkeypatch.setattr(GatheredKeys, "gather", gather)
    monkeypatch.setattr(GatherRule, "pays", lambda *_: True)
    served = CheckedEngine(
        model_of(tiny_folder),
        StrategyName.CONTINUOUS,
        settings=replace(settings, speculation=drafts),
        runner_for=launched_one_by_one,
    )
    requests = [served.ask(case.prompt, case.max_tokens, ignore_eos=True) for case in cases]
    served.drain()
    assert [tuple(r.output_tokens) for r in requests] == [case.output for case in cases]
    assert gathered


def test_steps_without_a_graph_are_launched_beside_those_that_have_one(
    tiny_folder: Path, cases: list[Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "StepGraphs", ReplayedByHand)
    monkeypatch.setattr(ReplayedByHand, "most", 2)
    served = CheckedEngine(
        model_of(tiny_folder), StrategyName.CONTINUOUS, settings=ROOMY, runner_for=PagedRunner
    )
    requests = [served.ask(case.prompt, case.max_tokens, ignore_eos=True) for case in cases]
    served.drain()
    assert [tuple(r.output_tokens) for r in requests] == [case.output for case in cases]


def test_drafts_change_nothing_that_is_said(tiny_folder: Path, cases: list[Case]) -> None:
    """Texts that were said once are drafted when they are asked for again, in one batch with others
    that have no drafts."""
    settings = replace(ROOMY, speculation=ALWAYS)
    served = CheckedEngine(
        model_of(tiny_folder),
        StrategyName.CONTINUOUS,
        settings=settings,
        runner_for=launched_one_by_one,
    )
    known = KnownOutputs([])
    served.engine.speculation = Speculation(KNOWN, known)
    for drafted in (cases[:0], cases[1:]):
        requests = [served.ask(case.prompt, case.max_tokens, ignore_eos=True) for case in cases]
        known.learn(
            (request, case.output)
            for request, case in zip(requests, cases, strict=True)
            if case in drafted
        )
        served.drain()
        assert [tuple(r.output_tokens) for r in requests] == [case.output for case in cases]
    assert served.engine.metrics.draft_acceptance(served.clock.now_s) is not None


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_an_abort_with_a_step_in_flight_frees_its_blocks_for_others(
    steps: int, tiny_folder: Path, cases: list[Case]
) -> None:
    """Blocks are so few that what is asked next gets those of the aborted request."""
    served = CheckedEngine(
        model_of(tiny_folder),
        StrategyName.CACHED,
        settings=replace(SCARCE, kv_blocks=6),
        runner_for=launched_one_by_one,
    )
    gone, kept = cases[3], cases[1]
    aborted = served.ask(gone.prompt, gone.max_tokens, ignore_eos=True)
    beside = served.ask(kept.prompt, kept.max_tokens, ignore_eos=True)
    for _ in range(steps):
        served.step()
    assert aborted.num_pending
    served.engine.abort(aborted.request_id)
    after = served.ask(gone.prompt, gone.max_tokens, ignore_eos=True)
    served.drain()
    assert aborted.status is Status.ABORTED
    assert tuple(aborted.output_tokens) == gone.output[: aborted.num_output_tokens]
    assert tuple(beside.output_tokens) == kept.output
    assert tuple(after.output_tokens) == gone.output


def test_a_request_without_numbers_fails_a_step_late_and_its_neighbours_go_on(
    tiny_folder: Path, cases: list[Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The step after it is launched before anybody knows: it may not look for token -1."""
    served = CheckedEngine(
        model_of(tiny_folder), StrategyName.CONTINUOUS, runner_for=launched_one_by_one
    )
    decoder = served.engine.runner.decoder
    # The longer sequence comes first in every step.
    whole, kept, broken = decoder.logits, cases[3], cases[1]

    def logits(hidden: Tensor, ops: StepOps) -> Tensor:
        values = whole(hidden, ops)
        if len(values) == 2:
            values[1] = torch.nan
        return values

    monkeypatch.setattr(decoder, "logits", logits)
    first = served.ask(kept.prompt, kept.max_tokens, ignore_eos=True)
    second = served.ask(broken.prompt, broken.max_tokens, ignore_eos=True)
    served.drain()
    assert (first.status, second.status) == (Status.FINISHED, Status.ABORTED)
    assert tuple(first.output_tokens) == kept.output
    assert second.num_output_tokens == 0
    assert len(served.engine.notes) == 1


class FullOnce(PagedRunner):
    """A runner whose device has no memory for the launch of this number."""

    launches_left = 3

    def launch(self, chunks: Sequence[Chunk]) -> LaunchedStep:
        self.launches_left -= 1
        if not self.launches_left:
            raise torch.OutOfMemoryError
        return super().launch(chunks)


def test_memory_that_runs_out_with_a_step_in_flight_fails_its_batch_alone(
    tiny_folder: Path, cases: list[Case]
) -> None:
    served = CheckedEngine(
        model_of(tiny_folder),
        StrategyName.CONTINUOUS,
        runner_for=lambda decoder, cache, settings: FullOnce(
            decoder, cache, settings, graphs=False
        ),
    )
    lost = served.ask(cases[3].prompt, cases[3].max_tokens, ignore_eos=True)
    ended = served.ask(cases[2].prompt, cases[2].max_tokens, ignore_eos=True)
    served.drain()
    assert lost.status is Status.ABORTED
    assert tuple(lost.output_tokens) == cases[3].output[:2]
    assert tuple(ended.output_tokens) == cases[2].output
    after = served.ask(cases[3].prompt, cases[3].max_tokens, ignore_eos=True)
    served.drain()
    assert tuple(after.output_tokens) == cases[3].output


def test_warming_up_between_steps_leaves_no_trace(tiny_folder: Path, cases: list[Case]) -> None:
    served = CheckedEngine(
        model_of(tiny_folder),
        StrategyName.CONTINUOUS,
        settings=CHUNKED,
        runner_for=launched_one_by_one,
    )
    requests = [served.ask(case.prompt, case.max_tokens, ignore_eos=True) for case in cases[:2]]
    for _ in range(4):
        served.step()
    runner = served.engine.runner
    assert isinstance(runner, PagedRunner)
    runner.warm_up.at_once()
    served.drain()
    assert [tuple(r.output_tokens) for r in requests] == [case.output for case in cases[:2]]


def test_warming_up_learns_every_product_of_the_graphs(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learned: dict[Linear, list[int]] = defaultdict(list)

    def learn(layers: list[Linear], sizes: list[int]) -> None:
        for layer in layers:
            learned[layer] += sizes

    monkeypatch.setattr(warm_up, "choose_algorithms", learn)
    served = CheckedEngine(
        model_of(tiny_folder),
        StrategyName.CONTINUOUS,
        settings=CHUNKED,
        runner_for=launched_one_by_one,
    )
    runner = served.engine.runner
    assert isinstance(runner, PagedRunner)
    runner.warm_up.at_once()
    decoder = runner.decoder
    assert {decoder.head, *(layer.down for layer in decoder.layers)} <= set(learned)
    assert all(sizes == [1, 2, 3] for sizes in learned.values())
    assert CHUNKED.max_seqs == 3


@pytest.mark.gpu
@pytest.mark.parametrize("drafts", [None, ALWAYS], ids=["plain", "drafts"])
@pytest.mark.parametrize("name", StrategyName)
@pytest.mark.parametrize("settings", [ROOMY, CHUNKED, SCARCE], ids=["roomy", "chunked", "scarce"])
def test_graphs_say_what_transformers_says(
    settings: EngineSettings,
    name: StrategyName,
    drafts: SpeculationSpec | None,
    tiny_folder: Path,
) -> None:
    settings = replace(settings, speculation=drafts)
    oracle = GreedyOracle(tiny_folder)
    cases = oracle.cases(
        [(1, 20), (15, 30), (17, 1), (50, 24), (100, 30)], shared_prefix=40, seed=5
    )
    served = CheckedEngine(
        model_of(tiny_folder), name, settings=settings, device=torch.device("cuda", 0)
    )
    assert isinstance(served.engine.runner, PagedRunner)
    for order in (cases, cases[::-1]):
        requests = [served.ask(case.prompt, case.max_tokens, ignore_eos=True) for case in order]
        served.drain()
        assert [tuple(r.output_tokens) for r in requests] == [case.output for case in order]


@pytest.mark.gpu
def test_no_more_graphs_are_captured_than_there_may_be(
    tiny_folder: Path, cases: list[Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(step_graphs, "_MOST_GRAPHS", 3)
    device = torch.device("cuda", 0)
    served = CheckedEngine(model_of(tiny_folder), StrategyName.CONTINUOUS, device=device)
    for case in cases:
        request = served.ask(case.prompt, case.max_tokens, ignore_eos=True)
        served.drain()
        assert tuple(request.output_tokens) == case.output
    runner = served.engine.runner
    assert isinstance(runner, PagedRunner)
    assert runner.graphs is not None
    assert len(runner.graphs) == 3


@pytest.mark.gpu
def test_captured_graphs_are_a_part_of_the_memory(tiny_folder: Path) -> None:
    device = torch.device("cuda", 0)
    served = CheckedEngine(model_of(tiny_folder), StrategyName.CONTINUOUS, device=device)
    served.ask((5, 6, 7), 4, ignore_eos=True)
    served.drain()
    memory = read_memory(served.engine.runner, served.engine.model.master, None)
    assert memory.graphs_bytes
    assert memory.graphs_bytes <= memory.used_bytes
