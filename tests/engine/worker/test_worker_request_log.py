"""What the worker tells of single requests, against what the engine did to them."""

from pathlib import Path
from typing import TypeVar

import pytest
import torch
from prodtop.engine.metrics.told_requests import MOST_LIVE, MOST_SAMPLES
from prodtop.engine.model.loading import load_model
from prodtop.engine.protocol import (
    ENCODER,
    FinishedSample,
    IntervalKind,
    Message,
    PrecisionName,
    RequestsInSystem,
    RequestState,
    RequestTimeline,
    StrategyName,
)
from prodtop.engine.protocol.channel import MAX_MESSAGE_BYTES
from prodtop.engine.serving.engine import Engine
from prodtop.engine.serving.request import Request, Sampling
from prodtop.engine.serving.settings import EngineSettings
from prodtop.engine.worker.request_log import RequestLog

Told = TypeVar("Told", bound=Message)


class Clock:
    """Moves by ten milliseconds whenever it is looked at."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        self.now_s += 0.01
        return self.now_s


class Stage:
    """An engine with its log, stepped by hand."""

    def __init__(self, folder: Path, kept: int = 100) -> None:
        self.clock = Clock()
        self.engine = Engine(
            load_model(str(folder)),
            EngineSettings(max_seqs=4, token_budget=32, kv_blocks=40, context_tokens=256),
            strategy=StrategyName.CONTINUOUS,
            precision=PrecisionName.FP32,
            device=torch.device("cpu"),
            clock=self.clock,
        )
        self.log = RequestLog(self.engine, kept)

    def ask(self, prompt: int = 10, tokens: int = 4) -> Request:
        return self.engine.submit(list(range(1, prompt + 1)), Sampling(), tokens, ignore_eos=True)

    def step(self) -> None:
        self.log.on_completions(self.engine.step())

    def drain(self) -> None:
        while self.engine.has_work:
            self.step()

    def reports(self) -> list[Message]:
        """What is told once enough time has passed."""
        self.clock.now_s += 1.0
        return self.log.reports()


@pytest.fixture
def stage(tiny_folder: Path) -> Stage:
    return Stage(tiny_folder)


def only(kind: type[Told], reports: list[Message]) -> Told:
    found = [report for report in reports if isinstance(report, kind)]
    assert len(found) == 1
    return found[0]


def test_each_request_in_the_system_is_told_as_far_as_it_has_come(stage: Stage) -> None:
    requests = [stage.ask(tokens=8) for _ in range(6)]
    before = only(RequestsInSystem, stage.reports())
    assert [each.state for each in before.requests] == [RequestState.WAITING] * 6
    assert all(each.queue_ms is None and each.ttft_ms is None for each in before.requests)
    for _ in range(4):
        stage.step()
    after = only(RequestsInSystem, stage.reports())
    assert (after.running, after.waiting) == (4, 2)
    told = {each.request_id: each for each in after.requests}
    assert set(told) == {request.request_id for request in requests}
    for request in requests[:4]:
        row = told[request.request_id]
        assert row.state is RequestState.DECODE
        assert row.output_tokens == request.num_output_tokens > 0
        assert request.first_token_at_s is not None
        ttft_ms = (request.first_token_at_s - request.arrival_at_s) * 1e3
        assert row.ttft_ms == pytest.approx(ttft_ms)
    assert {told[request.request_id].state for request in requests[4:]} == {RequestState.WAITING}


def test_a_prompt_in_chunks_prefills_and_a_preempted_request_waits_again(stage: Stage) -> None:
    request = stage.ask(prompt=100, tokens=4)
    stage.step()
    assert only(RequestsInSystem, stage.reports()).requests[0].state is RequestState.PREFILL
    while not request.num_output_tokens:
        stage.step()
    stage.engine.scheduler.preempt_all(stage.clock())
    row = only(RequestsInSystem, stage.reports()).requests[0]
    assert (row.state, row.preemptions) == (RequestState.PREEMPTED, 1)
    stage.log.inspect(request.request_id)
    stage.drain()
    told = only(RequestTimeline, stage.reports())
    chunks = [each.tokens for each in told.intervals if each.kind is IntervalKind.PREFILL]
    # 32 tokens a step: the prompt in four chunks, and again with the token it had by then.
    assert chunks == [32, 32, 32, 4, 32, 32, 32, 5]
    assert sum(each.kind is IntervalKind.PREEMPTED for each in told.intervals) == 1


def test_a_timeline_adds_up_and_ends_with_the_request(stage: Stage) -> None:
    requests = [stage.ask(tokens=12) for _ in range(6)]
    last = requests[-1]
    stage.log.inspect(last.request_id)
    waiting = only(RequestTimeline, stage.reports())
    assert (waiting.state, waiting.waiting_ahead) == (RequestState.WAITING, 5)
    stage.drain()
    told = only(RequestTimeline, stage.reports())
    assert told.state is RequestState.FINISHED
    assert sum(each.length_us for each in told.intervals) == told.e2e_us
    assert last.last_token_at_s is not None
    assert told.e2e_us == round((last.last_token_at_s - last.arrival_at_s) * 1e6)
    assert sum(told.token_counts) == told.output_tokens == 12
    # It has ended: there is nothing new to tell of it.
    assert not [each for each in stage.reports() if isinstance(each, RequestTimeline)]


def test_a_request_that_fails_says_why(stage: Stage) -> None:
    request = stage.ask(tokens=12)
    stage.step()
    stage.engine.abort(request.request_id, "no memory")
    stage.log.inspect(request.request_id)
    stage.drain()
    reports = stage.reports()
    ended = only(FinishedSample, reports).requests[0]
    assert (ended.failed, ended.finish_reason) == (True, "no memory")
    told = only(RequestTimeline, reports)
    assert told.state is RequestState.FAILED
    assert told.e2e_us == pytest.approx(ended.e2e_ms * 1e3, abs=1)
    assert sum(each.length_us for each in told.intervals) == told.e2e_us


def test_what_is_kept_and_what_is_sent_is_bounded(tiny_folder: Path) -> None:
    stage = Stage(tiny_folder, kept=20)
    crowd = [stage.ask(tokens=1) for _ in range(3 * MOST_LIVE)]
    in_system = only(RequestsInSystem, stage.reports())
    ids = [each.request_id for each in in_system.requests]
    assert in_system.waiting == len(crowd)
    assert len(ids) == MOST_LIVE
    assert {crowd[0].request_id, crowd[-1].request_id} <= set(ids)
    stage.engine.abort(crowd[100].request_id)
    stage.drain()
    sample = only(FinishedSample, reports := stage.reports())
    assert len(sample.requests) == MOST_SAMPLES
    assert sample.left_out == len(crowd) - MOST_SAMPLES
    assert [each.request_id for each in sample.requests if each.failed] == [crowd[100].request_id]
    assert sum(len(ENCODER.encode(report)) for report in reports) < MAX_MESSAGE_BYTES // 100
    for request, kept in ((crowd[0], False), (crowd[-1], True)):
        stage.log.inspect(request.request_id)
        assert (only(RequestTimeline, stage.reports()).state is not None) == kept


def test_that_nobody_is_there_is_said_once(stage: Stage) -> None:
    stage.ask(tokens=1)
    stage.drain()
    assert only(RequestsInSystem, stage.reports()).requests == []
    assert stage.reports() == []
