"""Logprobs of generated and prompt tokens: those of transformers, however the work was cut up."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from engine_harness import CHUNKED, ROOMY, SCARCE, CheckedEngine, model_of
from hypothesis import given, settings
from hypothesis import strategies as st
from known_outputs import ALWAYS
from prodtop.engine.protocol import StrategyName
from prodtop.engine.protocol.errors import BadInputError, PromptTooLongError
from prodtop.engine.protocol.served import TokenLogprob
from prodtop.engine.serving import transfers
from prodtop.engine.serving.logprobs import measure
from prodtop.engine.serving.request import Request, Sampling, Status
from prodtop.engine.serving.runner import RunnerFactory, runner_for
from prodtop.engine.serving.settings import EngineSettings
from prodtop.engine.serving.strategy import STRATEGIES
from prodtop.engine.serving.token_delivery import TokenOutbox
from test_paged_runner import launched_one_by_one
from test_token_delivery import Reader
from torch import Tensor
from transformers import AutoModelForCausalLM

PROMPT = tuple(range(5, 27))
SAMPLED = Sampling(temperature=1.0, seed=11)
CLOSE = 1e-4


@pytest.fixture(scope="module")
def oracle(tiny_folder: Path) -> AutoModelForCausalLM:
    return AutoModelForCausalLM.from_pretrained(tiny_folder, dtype=torch.float32)


def log_softmax(oracle: AutoModelForCausalLM, tokens: list[int]) -> Tensor:
    """Of each position's next token: `[tokens, vocabulary]`."""
    with torch.inference_mode():
        logits: Tensor = oracle(torch.tensor([tokens])).logits[0]
    return logits.log_softmax(dim=-1)


def assert_right(entry: TokenLogprob, token: int, row: Tensor, top: int) -> None:
    assert entry.token_id == token
    assert entry.logprob == pytest.approx(float(row[token]), abs=CLOSE)
    assert len(entry.top) == top
    likeliest = row.sort(descending=True).values[:top].tolist()
    assert [value for _, value in entry.top] == pytest.approx(likeliest, abs=CLOSE)
    for token_id, value in entry.top:
        assert value == pytest.approx(float(row[token_id]), abs=CLOSE)
    above = int((row > row[token] + 2 * CLOSE).sum()), int((row > row[token] - 2 * CLOSE).sum())
    assert above[0] + 1 <= entry.rank <= above[1] + 1


def assert_logprobs(oracle: AutoModelForCausalLM, request: Request) -> None:
    rows = log_softmax(oracle, request.tokens)
    prompt = len(request.prompt_tokens)
    if request.logprobs is not None:
        assert len(request.token_logprobs) == request.num_output_tokens
        for place, entry in enumerate(request.token_logprobs, start=prompt):
            assert_right(entry, request.tokens[place], rows[place - 1], request.logprobs)
    if request.prompt_logprobs is not None:
        assert len(request.prompt_token_logprobs) == prompt - 1
        for place, entry in enumerate(request.prompt_token_logprobs, start=1):
            assert_right(entry, request.tokens[place], rows[place - 1], request.prompt_logprobs)


@pytest.mark.parametrize(
    ("name", "limits", "make"),
    [
        (StrategyName.HYBRID, ROOMY, runner_for),
        (StrategyName.BATCHED, ROOMY, runner_for),
        (StrategyName.CONTINUOUS, CHUNKED, runner_for),
        (StrategyName.CACHED, replace(ROOMY, speculation=ALWAYS), runner_for),
    ],
    ids=["hybrid", "gang", "chunked", "drafts"],
)
def test_they_are_those_of_transformers(
    name: StrategyName,
    limits: EngineSettings,
    make: RunnerFactory,
    oracle: AutoModelForCausalLM,
    tiny_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A mixed batch, its prompts alike in their first blocks, its slices three rows high."""
    monkeypatch.setattr(transfers, "_SLICE_LOGITS", 3 * 320)
    served = CheckedEngine(model_of(tiny_folder), name, settings=limits, runner_for=make)
    wishes: list[tuple[int | None, int | None]] = [(None, None), (0, None), (4, 2), (None, 0)]
    for _ in range(2):
        requests = [
            served.ask(
                (*PROMPT, 40 + n),
                5,
                sampling=SAMPLED if n % 2 else Sampling(),
                ignore_eos=True,
                logprobs=own,
                prompt_logprobs=of_prompt,
            )
            for n, (own, of_prompt) in enumerate(wishes)
        ]
        served.drain()
        for request in requests:
            assert_logprobs(oracle, request)
    assert served.engine.response_cache.hits == STRATEGIES[name].response_cache


def test_both_runners_say_the_same(oracle: AutoModelForCausalLM, tiny_folder: Path) -> None:
    served = CheckedEngine(
        model_of(tiny_folder),
        StrategyName.CONTINUOUS,
        settings=CHUNKED,
        runner_for=launched_one_by_one,
    )
    requests = [
        served.ask((5, 6, 7, 8), 3, logprobs=3, ignore_eos=True, sampling=SAMPLED),
        served.ask(PROMPT[:9], 2, prompt_logprobs=1, logprobs=0, ignore_eos=True),
        served.ask(PROMPT[:5], 0, prompt_logprobs=2),
    ]
    served.drain()
    for request in requests:
        assert_logprobs(oracle, request)


def test_a_preemption_neither_loses_nor_doubles_them(
    oracle: AutoModelForCausalLM, tiny_folder: Path
) -> None:
    reader = Reader(CheckedEngine(model_of(tiny_folder), StrategyName.CONTINUOUS, settings=SCARCE))
    requests = [
        reader.served.ask(
            (*PROMPT, n),
            40,
            sampling=SAMPLED,
            ignore_eos=True,
            logprobs=2,
            prompt_logprobs=1,
            outbox=reader.outbox,
        )
        for n in range(4)
    ]
    reader.drain()
    assert any(request.preemptions for request in requests)
    for request in requests:
        assert_logprobs(oracle, request)
        outputs = reader.outputs[request.request_id]
        told = [entry for output in outputs for entry in output.logprobs or []]
        assert told == request.token_logprobs
        prompts = [o.prompt_logprobs for o in outputs if o.prompt_logprobs is not None]
        assert prompts == [request.prompt_token_logprobs]
        assert outputs[0].prompt_logprobs is not None


@pytest.mark.parametrize("name", StrategyName)
@pytest.mark.parametrize("length", [1, 2, 30, 256])
def test_a_prompt_alone_is_measured_and_nothing_is_generated(
    name: StrategyName, length: int, oracle: AutoModelForCausalLM, tiny_folder: Path
) -> None:
    reader = Reader(CheckedEngine(model_of(tiny_folder), name))
    prompt = tuple(5 + n % 300 for n in range(length))
    request = reader.served.ask(prompt, 0, prompt_logprobs=1, outbox=reader.outbox)
    other = reader.served.ask(PROMPT, 3, ignore_eos=True)
    reader.drain()
    assert other.num_output_tokens == 3
    assert (request.status, request.finish_reason) == (Status.FINISHED, "length")
    assert request.num_output_tokens == 0
    assert_logprobs(oracle, request)
    (output,) = reader.outputs[request.request_id]
    assert (output.token_ids, output.finish_reason) == ([], "length")
    assert output.prompt_logprobs == request.prompt_token_logprobs
    assert reader.served.engine.metrics.generated_tokens_total == 3


@pytest.mark.parametrize(
    ("max_tokens", "own", "of_prompt", "words"),
    [
        (3, -1, None, "logprobs must be from 0 to 320"),
        (3, 321, None, "logprobs must be from 0 to 320"),
        (3, None, 321, "prompt_logprobs must be"),
        (0, 1, None, "max_tokens is 0"),
        (-1, None, 1, "max_tokens is -1"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    max_tokens: int, own: int | None, of_prompt: int | None, words: str, tiny_folder: Path
) -> None:
    served = CheckedEngine(model_of(tiny_folder), StrategyName.CONTINUOUS)
    with pytest.raises(BadInputError, match=words):
        served.ask(PROMPT, max_tokens, logprobs=own, prompt_logprobs=of_prompt)


def test_a_prompt_that_fills_the_context_is_too_long_for_a_token(tiny_folder: Path) -> None:
    served = CheckedEngine(model_of(tiny_folder), StrategyName.CONTINUOUS)
    with pytest.raises(PromptTooLongError):
        served.ask((7,) * 256, 1, prompt_logprobs=1)
    with pytest.raises(PromptTooLongError):
        served.ask((7,) * 257, 0, prompt_logprobs=1)


@settings(deadline=None, max_examples=60)
@given(
    scores=st.lists(st.lists(st.integers(-3, 3), min_size=6, max_size=6), min_size=1, max_size=7),
    top=st.integers(0, 6),
    height=st.integers(1, 4),
    data=st.data(),
)
def test_slices_change_nothing(
    scores: list[list[int]], top: int, height: int, data: st.DataObject
) -> None:
    """Against log_softmax and a count, ties included."""
    logits = torch.tensor(scores, dtype=torch.float32)
    tokens = [data.draw(st.integers(0, 5)) for _ in scores]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transfers, "_SLICE_LOGITS", 6 * height)
        entries = measure(logits, torch.tensor(tokens), top).read([top] * len(tokens))
    for row, token, entry in zip(logits.log_softmax(dim=-1), tokens, entries, strict=True):
        assert entry.logprob == pytest.approx(float(row[token]), abs=1e-6)
        assert entry.rank == 1 + int((row > row[token]).sum())
        assert [v for _, v in entry.top] == pytest.approx(row.topk(top).values.tolist(), abs=1e-6)
        assert len({token_id for token_id, _ in entry.top}) == top


def test_an_outbox_says_what_was_asked_for_alone(tiny_folder: Path) -> None:
    served = CheckedEngine(model_of(tiny_folder), StrategyName.CONTINUOUS)
    outbox = TokenOutbox()
    served.ask(PROMPT, 2, outbox=outbox, ignore_eos=True)
    served.drain()
    (output,) = outbox.drain()
    assert (output.logprobs, output.prompt_logprobs) == (None, None)
