"""What happens when the model gives no numbers: its requests fail, and somebody says why."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from engine_harness import CPU, ROOMY, CheckedEngine, model_of
from prodtop.engine.model.decoder import Decoder
from prodtop.engine.ops.step_ops import StepOps
from prodtop.engine.protocol import PrecisionName, SpeculationSpec, StrategyName
from prodtop.engine.serving.model_drafter import ModelDrafter, model_drafter
from prodtop.engine.serving.request import Request, Status
from torch import Tensor

REPEATING = tuple(range(3, 10)) * 5
PROMPTS = (REPEATING, (5,), tuple(range(40, 57)))
WITH_DRAFTS = replace(ROOMY, speculation=SpeculationSpec(adaptive=False))

Spoil = Callable[[Tensor], None]


def spoil_logits(monkeypatch: pytest.MonkeyPatch, decoder: Decoder, spoil: Spoil) -> None:
    """Let `spoil` change the logits `[rows, vocabulary]` of every step."""
    whole = decoder.logits

    def logits(hidden: Tensor, ops: StepOps) -> Tensor:
        values = whole(hidden, ops)
        spoil(values)
        return values

    monkeypatch.setattr(decoder, "logits", logits)


def all_rows(logits: Tensor) -> None:
    logits.fill_(torch.nan)


def ask(served: CheckedEngine) -> list[Request]:
    return [served.ask(prompt, 12, ignore_eos=True) for prompt in PROMPTS]


def statuses(requests: Sequence[Request]) -> set[Status]:
    return {request.status for request in requests}


@pytest.mark.parametrize("name", StrategyName)
def test_requests_fail_with_one_note_and_without_a_token(
    name: StrategyName, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = CheckedEngine(model_of(tiny_folder), name)
    spoil_logits(monkeypatch, served.engine.runner.decoder, all_rows)
    requests = ask(served)
    served.drain()
    assert statuses(requests) == {Status.ABORTED}
    assert all(request.num_output_tokens == 0 for request in requests)
    assert served.engine.metrics.accounting().failed == len(requests)
    assert served.engine.exported.counted().by_reason["error"] == len(requests)
    assert served.engine.blocks.counts().running == 0
    (note,) = served.engine.notes
    assert "the model gives no numbers (NaN) at fp32" in note


def test_a_request_beside_a_broken_one_goes_on(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = CheckedEngine(model_of(tiny_folder), StrategyName.CONTINUOUS)
    wanted = ask(whole)
    whole.drain()
    served = CheckedEngine(model_of(tiny_folder), StrategyName.CONTINUOUS)
    requests = ask(served)
    served.step()
    first_alone = iter([True])

    def first_row_once(logits: Tensor) -> None:
        if next(first_alone, False):
            logits[0] = torch.nan

    spoil_logits(monkeypatch, served.engine.runner.decoder, first_row_once)
    served.drain()
    assert requests[0].status is Status.ABORTED
    assert requests[0].output_tokens == wanted[0].output_tokens[:1]
    for request, other in zip(requests[1:], wanted[1:], strict=True):
        assert request.output_tokens == other.output_tokens


def test_another_precision_serves_again_and_is_spoken_of_anew(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = CheckedEngine(model_of(tiny_folder), StrategyName.STREAMING)
    spoil_logits(monkeypatch, served.engine.runner.decoder, all_rows)
    ask(served)
    served.drain()
    served.engine.set_precision(PrecisionName.BF16)
    requests = ask(served)
    served.drain()
    assert statuses(requests) == {Status.FINISHED}
    spoil_logits(monkeypatch, served.engine.runner.decoder, all_rows)
    ask(served)
    served.drain()
    assert [note.partition(" at ")[2][:4] for note in served.engine.notes] == ["fp32", "bf16"]


def test_what_breaks_behind_a_draft_is_met_again_without_it(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only rows behind drafts are broken, so that no request fails and no answer changes."""
    plain = CheckedEngine(model_of(tiny_folder), StrategyName.SINGLE)
    wanted = plain.ask(REPEATING, 30, ignore_eos=True)
    plain.drain()
    served = CheckedEngine(model_of(tiny_folder), StrategyName.SINGLE, settings=WITH_DRAFTS)
    broken = []

    def behind_drafts(logits: Tensor) -> None:
        broken.append(len(logits) - 1)
        logits[1:] = torch.nan

    spoil_logits(monkeypatch, served.engine.runner.decoder, behind_drafts)
    request = served.ask(REPEATING, 30, ignore_eos=True)
    served.drain()
    assert sum(broken) > 0, "nothing was drafted"
    assert request.output_tokens == wanted.output_tokens
    assert served.engine.notes == []


def with_drafter(folder: Path) -> tuple[CheckedEngine, ModelDrafter]:
    """An engine with its own model at bf16 as draft model: nearly all guesses are right."""
    model = model_of(folder)
    served = CheckedEngine(model, StrategyName.CONTINUOUS)
    served.engine.drafter = drafter = model_drafter(model, model, ROOMY, CPU)
    served.engine.set_speculation(SpeculationSpec(draft_model="draft", adaptive=False))
    return served, drafter


@pytest.mark.parametrize("broken_rows", [slice(None), slice(0, 1)], ids=["all", "one"])
def test_a_draft_model_without_numbers_is_told_of_once_and_guesses_nothing(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch, broken_rows: slice
) -> None:
    plain = CheckedEngine(model_of(tiny_folder), StrategyName.CONTINUOUS)
    wanted = ask(plain)
    plain.drain()
    served, drafter = with_drafter(tiny_folder)
    broken = 0

    def spoil(logits: Tensor) -> None:
        nonlocal broken
        broken += len(logits[broken_rows])
        logits[broken_rows] = torch.nan

    spoil_logits(monkeypatch, drafter.runner.decoder, spoil)
    requests = ask(served)
    served.drain()
    assert [r.output_tokens for r in requests] == [r.output_tokens for r in wanted]
    (note,) = served.engine.notes
    assert note.startswith("the draft model gives no numbers (NaN)")
    assert 0 < drafter.broken_guesses <= broken
    acceptance = served.engine.metrics.draft_acceptance(served.engine.clock())
    if broken_rows == slice(None):
        assert acceptance is None, "a guess was made of nothing"
    else:
        assert acceptance is not None
        assert acceptance > 0.8, "guesses were not the model's own"


def test_a_draft_model_that_gives_numbers_again_guesses_again(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served, drafter = with_drafter(tiny_folder)
    left = iter(range(2))

    def first_two(logits: Tensor) -> None:
        if next(left, None) is not None:
            logits.fill_(torch.nan)

    spoil_logits(monkeypatch, drafter.runner.decoder, first_two)
    ask(served)
    served.drain()
    assert drafter.broken_guesses > 0
    acceptance = served.engine.metrics.draft_acceptance(served.engine.clock())
    assert acceptance is not None
    assert acceptance > 0.8
