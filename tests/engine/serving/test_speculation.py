"""Speculative decoding on the real engine: the same outputs, in fewer steps."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from engine_harness import CHUNKED, ROOMY, SCARCE, CheckedEngine, model_of, with_eos
from known_outputs import ALWAYS, KNOWN, KnownOutputs
from prodtop.engine.model.loading import LoadedModel
from prodtop.engine.protocol import PrecisionName, SpeculationSpec, StrategyName
from prodtop.engine.serving.request import Request, Sampling
from prodtop.engine.serving.settings import EngineSettings
from prodtop.engine.serving.speculation import Speculation

GREEDY = Sampling()
SEEDED = Sampling(temperature=0.7, top_p=0.9, seed=11)
SAMPLINGS = (GREEDY, SEEDED, replace(SEEDED, top_p=1.0, seed=5))

REPEATING = tuple(range(3, 10)) * 5
PROMPTS = (REPEATING, (5,), tuple(range(40, 57)), (*REPEATING[:20], 7, 1), tuple(range(60)))
MAX_TOKENS = 30


def serve(
    model: LoadedModel,
    name: StrategyName,
    settings: EngineSettings,
    *,
    stop_strings: tuple[str, ...] = (),
    ignore_eos: bool = True,
) -> tuple[CheckedEngine, list[Request]]:
    """Every prompt with every sampling, all at once, to the end."""
    served = CheckedEngine(model, name, settings=settings)
    requests = [
        served.ask(
            prompt,
            MAX_TOKENS,
            sampling=sampling,
            ignore_eos=ignore_eos,
            stop_strings=stop_strings,
        )
        for prompt in PROMPTS
        for sampling in SAMPLINGS
    ]
    served.drain()
    return served, requests


def said(served: CheckedEngine, requests: Sequence[Request]) -> list[tuple[object, ...]]:
    """All that a client can see of an answer but its times."""
    return [
        (request.output_tokens, request.finish_reason, served.texts[request.request_id])
        for request in requests
    ]


def steps_needed(first: int, tokens: int) -> int:
    """Steps for so many tokens from place `first` on, where those at a seventh place are guessed
    wrongly: each step goes up to and including the first that was not guessed."""
    steps, place, end = 0, first, first + tokens
    while place < end:
        right = 0
        while right < ALWAYS.drafts and (place + right) % 7 and place + right < end - 1:
            right += 1
        place += right + 1
        steps += 1
    return steps


@pytest.mark.parametrize("settings", [ROOMY, CHUNKED, SCARCE], ids=["roomy", "chunked", "scarce"])
@pytest.mark.parametrize("name", StrategyName)
def test_drafts_change_no_answer_under_any_strategy(
    name: StrategyName, settings: EngineSettings, tiny_folder: Path
) -> None:
    model = model_of(tiny_folder)
    plain = said(*serve(model, name, settings))
    drafted, requests = serve(model, name, replace(settings, speculation=ALWAYS))
    assert said(drafted, requests) == plain
    acceptance = drafted.engine.metrics.draft_acceptance(drafted.clock.now_s, float("inf"))
    assert acceptance is not None
    assert 0.0 < acceptance < 1.0


@pytest.mark.parametrize("name", [StrategyName.BATCHED, StrategyName.HYBRID])
def test_a_text_ends_in_the_midst_of_right_drafts(name: StrategyName, tiny_folder: Path) -> None:
    model = model_of(tiny_folder)
    _, free = serve(model, name, ROOMY)
    text = model.tokenizer.decode(free[0].output_tokens)
    never_said_by = min(free, key=lambda request: len(set(request.output_tokens)))
    eos = next(t for t in free[4].output_tokens[9:] if t not in never_said_by.output_tokens)
    ending = with_eos(model, eos)
    stops = (text[len(text) // 2 :][:3],)
    plain, requests = serve(ending, name, ROOMY, stop_strings=stops, ignore_eos=False)

    drafted = CheckedEngine(ending, name, settings=replace(ROOMY, speculation=ALWAYS))
    drafter = KnownOutputs((each, each.output_tokens) for each in free)
    drafted.engine.speculation = Speculation(KNOWN, drafter)
    again = [
        drafted.ask(tuple(r.prompt_tokens), MAX_TOKENS, sampling=r.sampling, stop_strings=stops)
        for r in requests
    ]
    drafted.drain()
    assert said(drafted, again) == said(plain, requests)
    assert {"stop", "length"} == {request.finish_reason for request in again}
    assert drafter.forgotten == {request.request_id for request in again}


def test_tokens_of_a_step_arrive_together_and_are_counted_once(tiny_folder: Path) -> None:
    model = model_of(tiny_folder)
    _, (known, *_) = serve(model, StrategyName.CONTINUOUS, ROOMY)
    served = CheckedEngine(model, StrategyName.CONTINUOUS)
    served.engine.speculation = Speculation(KNOWN, KnownOutputs([(known, known.output_tokens)]))
    request = served.ask(REPEATING, MAX_TOKENS, ignore_eos=True)
    served.drain()
    assert request.output_tokens == known.output_tokens
    times = request.token_times_s
    assert len(times) == MAX_TOKENS
    assert times == sorted(times)
    totals = served.engine.metrics.throughput.totals(served.clock.now_s)
    assert len(set(times)) == totals.steps == 1 + steps_needed(len(REPEATING) + 1, MAX_TOKENS - 1)
    assert totals.decode_tokens == MAX_TOKENS
    assert totals.prefill_tokens == len(REPEATING)
    assert totals.rows == totals.steps


def test_drafts_can_be_switched_while_requests_run(tiny_folder: Path) -> None:
    model = model_of(tiny_folder)
    _, known = serve(model, StrategyName.STREAMING, ROOMY)
    served = CheckedEngine(model, StrategyName.STREAMING)
    requests = [
        served.ask(prompt, MAX_TOKENS, sampling=sampling, ignore_eos=True)
        for prompt in PROMPTS
        for sampling in SAMPLINGS
    ]
    spec: SpeculationSpec | None = ALWAYS
    while served.engine.has_work:
        served.engine.set_speculation(spec)
        for _ in range(7):
            served.step()
        spec = None if spec else ALWAYS
    assert [r.output_tokens for r in requests] == [r.output_tokens for r in known]


def test_a_switch_of_precision_loses_no_drafted_request(tiny_folder: Path) -> None:
    settings = replace(SCARCE, speculation=ALWAYS)
    served = CheckedEngine(model_of(tiny_folder), StrategyName.HYBRID, settings=settings)
    requests = [served.ask(prompt, MAX_TOKENS, ignore_eos=True) for prompt in PROMPTS]
    for name in (PrecisionName.INT8, PrecisionName.BF16, PrecisionName.FP32):
        for _ in range(9):
            served.step()
        served.engine.set_precision(name)
        served.check()
    served.drain()
    assert all(request.num_output_tokens == MAX_TOKENS for request in requests)
