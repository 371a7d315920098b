"""A server's requests in an engine of this process, over a real link: none lost, none left over."""

import select
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from prodtop.engine.model.loading import LoadedModel, load_model
from prodtop.engine.protocol import PrecisionName, StrategyName, channel
from prodtop.engine.protocol.channel import Channel
from prodtop.engine.protocol.handover import Handover, hand_over
from prodtop.engine.protocol.message import Message
from prodtop.engine.protocol.served import (
    SERVER_REPORT_DECODER,
    Abort,
    AskMetrics,
    EngineMetrics,
    Output,
    Refused,
    ServerReport,
    Serving,
    Stop,
    Submit,
    Tokens,
)
from prodtop.engine.serving.engine import Engine
from prodtop.engine.serving.settings import EngineSettings
from prodtop.engine.worker.served_traffic import MEASURING, ServedTraffic
from prodtop.engine.worker.server_end import ServerEnd
from prodtop.engine.worker.traffic import MOST_SUBMITTED

SETTINGS = EngineSettings(max_seqs=4, token_budget=64, kv_blocks=60, context_tokens=256)


class Stage:
    """An engine with a server's requests, stepped by hand, and the server's end of the link."""

    def __init__(self, model: LoadedModel, strategy: StrategyName = StrategyName.HYBRID) -> None:
        now_s = [10.0]

        def clock() -> float:
            now_s[0] += 0.001
            return now_s[0]

        self.engine = Engine(
            model,
            SETTINGS,
            strategy=strategy,
            precision=PrecisionName.FP32,
            device=torch.device("cpu"),
            clock=clock,
        )
        self._parent, child = socket.socketpair()
        self.end = ServerEnd(Handover(child))
        self.traffic = ServedTraffic(self.engine, self.end, None)
        self.outputs: dict[int, list[Output]] = {}
        self.others: list[ServerReport] = []
        self.link = self.new_link()

    def new_link(self, buffer_bytes: int | None = None) -> Channel[ServerReport]:
        """Hand over another link; a small buffer is soon full."""
        ours, theirs = socket.socketpair()
        if buffer_bytes is not None:
            theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer_bytes)
        assert hand_over(self._parent, theirs)
        theirs.close()
        self.link = Channel(ours, SERVER_REPORT_DECODER)
        return self.link

    def send(self, *messages: Message) -> None:
        for message in messages:
            assert self.link.send(message)

    def ask(self, key: int, max_tokens: int = 5, prompt: tuple[int, ...] = (5, 6, 7)) -> None:
        self.send(
            Submit(
                key=key,
                prompt_tokens=list(prompt),
                max_tokens=max_tokens,
                ignore_eos=True,
                arrival_at_s=0.0,
            )
        )

    def step(self, times: int = 1, *, read: bool = True) -> None:
        for _ in range(times):
            self.traffic.submit_arrivals()
            self.engine.step()
            self.traffic.deliver()
            if read:
                self.read()

    def read(self) -> None:
        for report in self.link.receive():
            if isinstance(report, Tokens):
                for output in report.outputs:
                    self.outputs.setdefault(output.key, []).append(output)
            else:
                self.others.append(report)

    def run(self) -> None:
        """Until nothing is left to do."""
        self.step()
        while self.engine.has_work or self.traffic.busy:
            self.step()

    def tokens(self, key: int) -> list[int]:
        return [token for output in self.outputs.get(key, []) for token in output.token_ids]

    def check_nothing_left(self) -> None:
        """Every request has ended, and holds nothing any more."""
        counted = self.engine.metrics.accounting()
        assert counted.in_system == 0
        assert counted.submitted == counted.finished + counted.failed
        assert self.engine.blocks.counts().running == 0
        assert not self.engine.deliveries


@pytest.fixture(scope="module")
def model(tiny_folder: Path) -> LoadedModel:
    return load_model(str(tiny_folder))


@pytest.fixture
def stage(model: LoadedModel) -> Iterator[Stage]:
    made = Stage(model)
    yield made
    made.end.close()


def test_a_link_begins_with_what_is_served(stage: Stage) -> None:
    stage.step()
    (told,) = stage.others
    assert isinstance(told, Serving)
    assert (told.strategy, told.precision) == (StrategyName.HYBRID, PrecisionName.FP32)
    assert told.context_tokens == SETTINGS.context_tokens
    stage.engine.set_strategy(StrategyName.CACHED)
    stage.traffic.on_switched()
    stage.read()
    told = stage.others[-1]
    assert isinstance(told, Serving)
    assert (told.strategy, told.streams) == (StrategyName.CACHED, False)


def test_the_tokens_of_all_requests_come_in_one_message_a_step(stage: Stage) -> None:
    for key in (1, 2, 3):
        stage.ask(key, prompt=(key, key + 1))
    stage.step(read=False)
    tokens = [report for report in stage.link.receive() if isinstance(report, Tokens)]
    assert [sorted(output.key for output in each.outputs) for each in tokens] == [[1, 2, 3]]


actions = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), st.integers(1, 12), st.integers(0, 3)),
        st.tuples(st.sampled_from(["stop", "abort"]), st.integers(1, 8), st.integers(0, 4)),
        st.tuples(st.just("step"), st.integers(1, 4), st.just(0)),
        st.tuples(st.just("strategy"), st.integers(0, 5), st.just(0)),
        st.tuples(st.just("refuse"), st.just(0), st.just(0)),
        st.tuples(st.just("relink"), st.just(0), st.just(0)),
    ),
    max_size=14,
)


@given(actions=actions)
@settings(deadline=None, max_examples=40)
def test_every_request_has_one_end_whatever_happens(
    model: LoadedModel, actions: list[tuple[str, int, int]]
) -> None:
    stage, asked, let_go, key = Stage(model), {}, set(), 0
    for what, number, other in actions:
        match what:
            case "ask":
                key += 1
                asked[key] = number
                # Few different prompts: some answers come from the cache, and prefixes are shared.
                stage.ask(key, number, prompt=(5, 6, 7 + other))
            case "stop":
                let_go.add(number)
                stage.send(Stop(key=number, output_tokens=other))
            case "abort":
                let_go.add(number)
                stage.send(Abort(key=number))
            case "step":
                stage.step(number)
            case "strategy":
                stage.engine.set_strategy(list(StrategyName)[number])
                stage.traffic.on_switched()
            case "refuse":
                stage.traffic.refuse_arrivals()
                stage.read()
            case _:
                stage.step()
                let_go.update(asked)
                stage.new_link()
    stage.run()
    stage.check_nothing_left()
    refused = {report.key for report in stage.others if isinstance(report, Refused)}
    for each, wanted in asked.items():
        outputs = stage.outputs.get(each, [])
        endings = [output.finish_reason for output in outputs if output.finish_reason]
        if each in refused:
            assert not outputs
        elif each not in let_go:
            assert endings == ["length"]
            assert outputs[-1].finish_reason == "length"
            assert len(stage.tokens(each)) == wanted
            assert outputs[-1].times is not None
    stage.end.close()


def test_a_stopped_request_has_finished_with_its_tokens(stage: Stage) -> None:
    stage.ask(1, max_tokens=50)
    stage.step(6)
    stage.send(Stop(key=1, output_tokens=3))
    before = len(stage.outputs[1])
    stage.run()
    assert len(stage.outputs[1]) == before
    counted = stage.engine.metrics.accounting()
    assert (counted.finished, counted.failed) == (1, 0)
    stage.check_nothing_left()


def test_what_is_submitted_before_one_step_is_bounded(stage: Stage) -> None:
    for key in range(MOST_SUBMITTED + 10):
        stage.ask(key, max_tokens=1)
    stage.traffic.submit_arrivals()
    assert stage.engine.metrics.accounting().submitted == MOST_SUBMITTED
    assert stage.traffic.busy
    stage.run()
    assert stage.engine.metrics.accounting().finished == MOST_SUBMITTED + 10


def test_a_server_that_does_not_read_loses_its_link_and_no_token_silently(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel, "MAX_OUTBOX_BYTES", 2000)
    stage.new_link(buffer_bytes=1)
    for key in range(4):
        stage.ask(key, max_tokens=200, prompt=(key, 3))
    steps = 0
    while stage.end.open or not steps:
        stage.step(read=False)
        steps += 1
        assert steps < 1000
    stage.step(read=False)
    counted = stage.engine.metrics.accounting()
    assert (counted.submitted, counted.failed) == (4, 4)
    stage.check_nothing_left()
    (note,) = stage.engine.notes
    assert "takes no tokens" in note
    assert "4 requests aborted" in note
    # All that was sent is read, and then the end: the server knows that something is missing.
    while not stage.link.closed:
        stage.read()
    assert not any(output.finish_reason for each in stage.outputs.values() for output in each)


def test_outputs_too_large_for_one_message_are_sent_apart(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.step()
    for key in (1, 2, 3):
        stage.ask(key, max_tokens=1, prompt=(key, 3))
    monkeypatch.setattr(channel, "MAX_MESSAGE_BYTES", 250)
    stage.run()
    assert [stage.outputs[key][-1].finish_reason for key in (1, 2, 3)] == ["length"] * 3
    assert stage.end.open


def test_an_answer_too_large_for_any_message_is_an_error(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.step()
    stage.ask(1, max_tokens=30)
    stage.step(2)
    monkeypatch.setattr(channel, "MAX_MESSAGE_BYTES", 140)
    stage.run()
    last = stage.outputs[1][-1]
    assert last.finish_reason == "error"
    assert "too many" in (last.error or "")
    stage.check_nothing_left()
    assert stage.end.open


def test_while_cells_are_measured_metrics_wait_and_requests_are_refused(stage: Stage) -> None:
    stage.step()
    stage.others.clear()
    stage.send(AskMetrics(ask_id=7))
    stage.ask(1)
    stage.traffic.refuse_arrivals()
    stage.ask(2)
    stage.traffic.refuse_arrivals()
    stage.read()
    assert stage.others == [Refused(key=key, message=MEASURING, later=True) for key in (1, 2)]
    assert stage.engine.metrics.accounting().rejected == 0
    stage.others.clear()
    stage.run()
    (told,) = stage.others
    assert isinstance(told, EngineMetrics)
    assert told.ask_id == 7
    counted = stage.engine.metrics.accounting()
    assert (counted.submitted, counted.rejected) == (0, 2)


def test_a_request_wakes_an_idle_worker(stage: Stage) -> None:
    def awake() -> bool:
        return bool(select.select(stage.end.readers(), [], [], 0.0)[0])

    assert awake()
    stage.step()
    assert not awake()
    stage.ask(1)
    assert awake()
    stage.run()
    assert not awake()
    stage.new_link()
    assert awake()


def test_without_a_server_there_is_nothing_to_look_at() -> None:
    end = ServerEnd(None)
    assert not end.take_new()
    assert (end.receive(), list(end.readers()), list(end.writers())) == ([], [], [])
