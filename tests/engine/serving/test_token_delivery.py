"""Requests delivered as tokens: what their reader gets adds up, however they end."""

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from engine_harness import ROOMY, SCARCE, CheckedEngine, model_of, with_eos
from prodtop.engine.model.loading import LoadedModel
from prodtop.engine.protocol import Accounting, StrategyName
from prodtop.engine.protocol.errors import BadInputError
from prodtop.engine.serving.request import Request, Sampling, Status
from prodtop.engine.serving.runner import RunnerFactory, runner_for
from prodtop.engine.serving.strategy import STRATEGIES
from prodtop.engine.serving.token_delivery import RequestOutput, TokenOutbox
from test_paged_runner import launched_one_by_one

PROMPT = tuple(range(5, 45))
SAMPLED = Sampling(temperature=0.9, seed=3)


@pytest.fixture
def model(tiny_folder: Path) -> LoadedModel:
    return model_of(tiny_folder)


@dataclass
class Reader:
    """Steps an engine and keeps what its outbox brought, by request."""

    served: CheckedEngine
    outbox: TokenOutbox = field(default_factory=TokenOutbox)
    outputs: dict[int, list[RequestOutput]] = field(default_factory=lambda: defaultdict(list))

    def read(self) -> None:
        for output in self.outbox.drain():
            earlier = self.outputs[output.request.request_id]
            assert not earlier or earlier[-1].finish_reason is None, "nothing follows an end"
            earlier.append(output)

    def step(self) -> None:
        self.served.step()
        self.read()

    def drain(self) -> None:
        for _ in range(10_000):
            if not self.served.engine.has_work:
                break
            self.step()
        self.served.drain()

    def tokens(self, request: Request) -> list[int]:
        return [token for output in self.outputs[request.request_id] for token in output.token_ids]

    def end(self, request: Request) -> RequestOutput:
        last = self.outputs[request.request_id][-1]
        assert last.finish_reason is not None
        return last


@pytest.mark.parametrize("name", StrategyName)
def test_tokens_come_at_once_and_are_those_of_a_text(
    name: StrategyName, model: LoadedModel
) -> None:
    asked = [(PROMPT[: 5 + 3 * index], 4 + index) for index in range(5)]
    as_text = CheckedEngine(model, name)
    expected = [as_text.ask(p, n, sampling=SAMPLED, ignore_eos=True) for p, n in asked]
    as_text.drain()

    reader = Reader(CheckedEngine(model, name))
    requests = [
        reader.served.ask(p, n, sampling=SAMPLED, ignore_eos=True, outbox=reader.outbox)
        for p, n in asked
    ]
    while reader.served.engine.has_work:
        reader.step()
        for request in requests:
            assert reader.tokens(request) == request.output_tokens
    for request, other in zip(requests, expected, strict=True):
        assert request.output_tokens == other.output_tokens
        end = reader.end(request)
        assert (end.finish_reason, end.stop_token_id, end.error) == ("length", None, None)
        assert end.times.last_token_at_s == request.last_token_at_s
        assert reader.served.completions[request.request_id].text == ""
        assert request.first_byte_at_s is not None
        assert request.first_token_at_s is not None
        assert request.last_token_at_s is not None
        at_the_end = request.first_byte_at_s >= request.last_token_at_s
        assert at_the_end is not STRATEGIES[name].stream
    reader.drain()


@pytest.mark.parametrize("ignore_eos", [False, True])
def test_stop_tokens_of_its_own_end_it_whatever_eos_does(
    ignore_eos: bool, model: LoadedModel
) -> None:
    served = CheckedEngine(model, StrategyName.CONTINUOUS)
    plain = served.ask(PROMPT, 12, sampling=SAMPLED, ignore_eos=True)
    served.drain()
    tokens = plain.output_tokens
    eos, own = tokens[3], next(t for t in tokens[4:] if t != tokens[3])

    reader = Reader(CheckedEngine(with_eos(model, eos), StrategyName.CONTINUOUS))
    request = reader.served.ask(
        PROMPT,
        12,
        sampling=SAMPLED,
        ignore_eos=ignore_eos,
        stop_token_ids=(own,),
        outbox=reader.outbox,
    )
    reader.drain()
    stop = own if ignore_eos else eos
    first = min(tokens.index(each) for each in ((own,) if ignore_eos else (own, eos)))
    assert reader.tokens(request) == tokens[: first + 1]
    assert reader.end(request).finish_reason == "stop"
    assert reader.end(request).stop_token_id in ({own} if ignore_eos else {own, eos})
    assert reader.tokens(request)[-1] == reader.end(request).stop_token_id
    assert stop in tokens


@pytest.mark.parametrize(
    ("name", "make"),
    [
        *((name, runner_for) for name in StrategyName),
        (StrategyName.BATCHED, launched_one_by_one),
        (StrategyName.HYBRID, launched_one_by_one),
    ],
)
def test_a_request_finished_early_is_an_answer_of_that_length(
    name: StrategyName, make: RunnerFactory, model: LoadedModel
) -> None:
    """While it runs among others, with a step in flight; its neighbours go on as before."""
    prompt = PROMPT[:6]
    reader = Reader(CheckedEngine(model, name, runner_for=make))
    engine = reader.served.engine
    cut = reader.served.ask(prompt, 6, ignore_eos=True, outbox=reader.outbox)
    beside = reader.served.ask(prompt[1:], 6, ignore_eos=True, outbox=reader.outbox)
    while cut.num_output_tokens < 3:
        reader.step()
    engine.finish_early(cut.request_id, 2)
    reader.read()
    engine.finish_early(cut.request_id, 1)
    engine.finish_early(999, 2)
    reader.drain()
    assert cut.num_output_tokens == len(cut.token_times_s) == 2
    assert (cut.status, cut.finish_reason) == (Status.FINISHED, "stop")
    assert reader.end(cut).finish_reason == "stop"
    assert reader.end(cut).times.last_token_at_s == cut.token_times_s[-1]
    assert beside.num_output_tokens == 6
    assert engine.metrics.accounting() == Accounting(submitted=2, finished=2)
    # Who asks for the same is not given the text that somebody else's stop string cut.
    again = reader.served.ask(prompt, 6, ignore_eos=True, outbox=reader.outbox)
    alone = CheckedEngine(model, StrategyName.SINGLE)
    expected = alone.ask(prompt, 6, ignore_eos=True)
    alone.drain()
    reader.drain()
    assert again.output_tokens == expected.output_tokens
    assert beside.output_tokens != expected.output_tokens


def test_a_preempted_or_waiting_request_can_be_finished_early(model: LoadedModel) -> None:
    reader = Reader(CheckedEngine(model, StrategyName.CONTINUOUS, settings=SCARCE))
    engine = reader.served.engine
    requests = [
        reader.served.ask(PROMPT[index:], 60, ignore_eos=True, outbox=reader.outbox)
        for index in range(4)
    ]
    while not any(r.preemptions and r.status is Status.WAITING for r in requests):
        reader.step()
    waiting = next(r for r in requests if r.preemptions and r.status is Status.WAITING)
    engine.finish_early(waiting.request_id, 1)
    reader.drain()
    assert waiting.num_output_tokens == 1
    assert engine.scheduler.num_waiting_tokens == 0
    assert [r.num_output_tokens for r in requests if r is not waiting] == [60] * 3
    for request in requests:
        assert reader.tokens(request)[: request.num_output_tokens] == request.output_tokens


@pytest.mark.parametrize(
    ("steps", "make"),
    [(0, runner_for), (1, runner_for), (3, runner_for), (3, launched_one_by_one)],
)
def test_an_abort_is_told_once_and_frees_its_blocks(
    steps: int, make: RunnerFactory, model: LoadedModel
) -> None:
    reader = Reader(CheckedEngine(model, StrategyName.CACHED, runner_for=make))
    engine = reader.served.engine
    request = reader.served.ask(PROMPT, 12, ignore_eos=True, outbox=reader.outbox)
    for _ in range(steps):
        reader.step()
    engine.abort(request.request_id, "the client left")
    engine.abort(request.request_id, "the client left")
    assert engine.blocks.counts().running == 0
    reader.read()
    reader.drain()
    end = reader.end(request)
    assert (end.finish_reason, end.error) == ("abort", None)
    assert request.finish_reason == "the client left"
    assert engine.metrics.accounting() == Accounting(submitted=1, failed=1)


def test_a_failure_is_told_with_its_reason(
    model: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = Reader(CheckedEngine(model, StrategyName.CONTINUOUS))
    decoder = reader.served.engine.runner.decoder
    whole = decoder.logits
    monkeypatch.setattr(
        decoder, "logits", lambda hidden, ops: whole(hidden, ops).fill_(float("nan"))
    )
    request = reader.served.ask(PROMPT, 12, outbox=reader.outbox)
    reader.drain()
    assert (reader.end(request).finish_reason, reader.end(request).error) == ("error", "NaN")


def test_a_cached_answer_comes_at_once_as_tokens_and_apart_from_texts(model: LoadedModel) -> None:
    reader = Reader(CheckedEngine(model, StrategyName.HYBRID))
    first = reader.served.ask(PROMPT, 6, ignore_eos=True, outbox=reader.outbox)
    reader.drain()
    text = reader.served.ask(PROMPT, 6, ignore_eos=True)
    assert not text.done, "an answer without a text is no answer for who reads it"
    reader.drain()
    again = reader.served.ask(PROMPT, 6, ignore_eos=True, outbox=reader.outbox)
    reader.read()
    assert reader.tokens(again) == first.output_tokens
    assert reader.end(again).from_response_cache
    assert not reader.end(first).from_response_cache
    text_again = reader.served.ask(PROMPT, 6, ignore_eos=True)
    reader.drain()
    texts = [reader.served.completions[r.request_id].text for r in (text, text_again)]
    assert texts[0] == texts[1] != ""


def test_a_switch_to_streaming_is_the_first_byte_of_what_was_kept(model: LoadedModel) -> None:
    reader = Reader(CheckedEngine(model, StrategyName.CONTINUOUS, settings=ROOMY))
    request = reader.served.ask(PROMPT, 12, ignore_eos=True, outbox=reader.outbox)
    first_bytes: list[float | None] = []
    while request.num_output_tokens < 3:
        reader.step()
        first_bytes.append(request.first_byte_at_s)
    assert set(first_bytes) == {None}
    reader.served.engine.set_strategy(StrategyName.STREAMING)
    assert request.first_byte_at_s is not None
    reader.drain()


@pytest.mark.parametrize("token", [-1, 320])
def test_a_stop_token_outside_the_vocabulary_is_refused(token: int, model: LoadedModel) -> None:
    served = CheckedEngine(model, StrategyName.CONTINUOUS)
    with pytest.raises(BadInputError, match="stop_token_ids has"):
        served.ask(PROMPT, 4, stop_token_ids=(token,))
