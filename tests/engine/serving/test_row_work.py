"""What a step does for single requests: only for those, and only as early as it must."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from engine_harness import ROOMY, CheckedEngine, model_of
from llguidance import LLMatcher
from prodtop.engine.ops.step_layout import DeviceStep
from prodtop.engine.protocol import StrategyName
from prodtop.engine.serving import paged_runner as module
from prodtop.engine.serving.logit_edits import NO_EDITS, LogitEdits
from prodtop.engine.serving.paged_runner import PagedRunner
from prodtop.engine.serving.request import Sampling
from prodtop.engine.serving.row_work import RowWork
from prodtop.engine.serving.runner import StepResult
from prodtop.engine.serving.step_plan import Chunk
from test_paged_runner import OneByHand, ReplayedByHand

PROMPT = (5, 6, 7, 8)


@pytest.fixture
def replays(monkeypatch: pytest.MonkeyPatch) -> list[DeviceStep]:
    """Grows by one with every step that is replayed as a graph."""
    seen: list[DeviceStep] = []
    whole = OneByHand.replay

    def replay(self: OneByHand) -> None:
        seen.append(DeviceStep.over(self.words, self.layout))
        whole(self)

    monkeypatch.setattr(module, "StepGraphs", ReplayedByHand)
    monkeypatch.setattr(OneByHand, "replay", replay)
    return seen


def test_plain_steps_do_nothing_more(
    tiny_folder: Path, replays: list[DeviceStep], monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(self: RowWork, *given: object) -> None:
        raise AssertionError("a plain step has no work on single requests")

    monkeypatch.setattr(RowWork, "__init__", none)
    served = CheckedEngine(
        model_of(tiny_folder), StrategyName.CONTINUOUS, settings=ROOMY, runner_for=PagedRunner
    )
    request = served.ask(PROMPT, 3, ignore_eos=True, sampling=Sampling(temperature=1.0, seed=1))
    served.drain()
    assert request.num_output_tokens == len(replays) == 3


@dataclass(frozen=True)
class Wish:
    """What a request asks for, and whether steps may be launched before its tokens are known."""

    ahead: bool
    edits: LogitEdits = NO_EDITS
    logprobs: int | None = None
    grammar: str | None = None


WISHES = {
    "logprobs": Wish(True, logprobs=1),
    "by position": Wish(True, edits=LogitEdits.of(min_p=0.1, logit_bias={7: 1.0}, min_tokens=1)),
    "by tokens": Wish(False, edits=LogitEdits.of(presence_penalty=1.0)),
    "grammar": Wish(False, grammar=LLMatcher.grammar_from_regex("[0-9]{40}")),
}


@pytest.mark.parametrize("wish", WISHES.values(), ids=WISHES)
def test_a_step_waits_only_where_an_edit_hangs_on_tokens(
    wish: Wish, tiny_folder: Path, replays: list[DeviceStep]
) -> None:
    """Its neighbour's output stays what it is alone; once it has ended, graphs are back."""
    alone = CheckedEngine(model_of(tiny_folder), StrategyName.CONTINUOUS)
    expected = alone.ask(PROMPT, 5, ignore_eos=True)
    alone.drain()
    served = CheckedEngine(
        model_of(tiny_folder), StrategyName.CONTINUOUS, settings=ROOMY, runner_for=PagedRunner
    )
    runner = served.engine.runner
    pending: dict[bool, set[int]] = {True: set(), False: set()}
    whole = runner.launch

    def launch(chunks: Sequence[Chunk]) -> StepResult:
        """Two tokens of a request are pending where the step before is in flight still."""
        among = special in [chunk.request for chunk in chunks]
        pending[among].add(max(chunk.request.num_pending for chunk in chunks))
        before = len(replays)
        result = whole(chunks)
        assert (len(replays) > before) is not among
        return result

    runner.launch = launch  # type: ignore[method-assign]  # looks on
    plain = served.ask(PROMPT, 5, ignore_eos=True)
    special = served.ask(
        PROMPT[1:],
        2,
        ignore_eos=True,
        edits=wish.edits,
        logprobs=wish.logprobs,
        grammar=wish.grammar,
    )
    served.drain()
    assert plain.output_tokens == expected.output_tokens
    assert special.num_output_tokens == 2
    assert pending[True] == ({1, 2} if wish.ahead else {1})
    assert 2 in pending[False]
