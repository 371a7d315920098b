"""The engine's one door in and its switches, by example: what is counted, cached and delivered."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from checkpoints import TinyShape, write_checkpoint, write_tokenizer
from engine_harness import CPU_PRECISIONS, ROOMY, CheckedEngine, LookClock, model_of
from prodtop.engine.model.loading import LoadedModel, load_model
from prodtop.engine.protocol import Accounting, PrecisionName, StrategyName
from prodtop.engine.protocol.errors import (
    BadInputError,
    PrecisionUnavailableError,
    PromptTooLongError,
    RequestTooLargeError,
)
from prodtop.engine.serving.engine import Engine
from prodtop.engine.serving.request import Sampling, Status
from prodtop.engine.serving.strategy import STRATEGIES

CACHING = [name for name in StrategyName if STRATEGIES[name].response_cache]
STREAMING = [name for name in StrategyName if STRATEGIES[name].stream]
AT_THE_END = [name for name in StrategyName if not STRATEGIES[name].stream]
PROMPT = tuple(range(5, 45))


@pytest.fixture
def model(tiny_folder: Path) -> LoadedModel:
    return model_of(tiny_folder)


# Requests that cannot be


@pytest.mark.parametrize("name", StrategyName)
@pytest.mark.parametrize(
    ("prompt", "max_tokens", "error", "words"),
    [
        ((), 4, BadInputError, "prompt is empty"),
        ((7,) * 256, 4, PromptTooLongError, "256 tokens"),
        ((7, 320), 4, BadInputError, "outside 0 … 319"),
        ((7, -1), 4, BadInputError, "outside 0 … 319"),
        (PROMPT, 0, BadInputError, "max_tokens is 0"),
    ],
    ids=["empty", "too long", "unknown id", "negative id", "nothing to generate"],
)
def test_an_impossible_request_is_refused_and_counts_nowhere(
    name: StrategyName,
    prompt: tuple[int, ...],
    max_tokens: int,
    error: type[BadInputError],
    words: str,
    model: LoadedModel,
) -> None:
    served = CheckedEngine(model, name)
    with pytest.raises(error, match=words):
        served.ask(prompt, max_tokens)
    engine = served.engine
    assert engine.metrics.accounting() == Accounting()
    assert engine.response_cache.lookups == 0
    assert not engine.has_work
    # The door still opens.
    served.ask(PROMPT, 4)
    served.drain()
    assert engine.metrics.accounting() == Accounting(submitted=1, finished=1)


@pytest.mark.parametrize(
    ("sampling", "words"),
    [
        (Sampling(temperature=-0.1), "temperature must be at least 0"),
        (Sampling(temperature=math.nan), "temperature must be at least 0"),
        (Sampling(top_p=1.5), "top_p must be from 0 to 1"),
        (Sampling(top_p=math.nan), "top_p must be from 0 to 1"),
        (Sampling(top_k=-1), "top_k must be from 0 to"),
        (Sampling(top_k=2**31), "top_k must be from 0 to"),
    ],
)
def test_sampling_that_no_token_can_be_drawn_by_is_refused(
    sampling: Sampling, words: str, model: LoadedModel
) -> None:
    served = CheckedEngine(model, StrategyName.CONTINUOUS)
    with pytest.raises(BadInputError, match=words):
        served.ask(PROMPT, 4, sampling=sampling)
    assert served.engine.metrics.accounting() == Accounting()


def test_a_request_that_the_kv_cache_can_never_hold_is_refused(model: LoadedModel) -> None:
    served = CheckedEngine(model, StrategyName.HYBRID, settings=replace(ROOMY, kv_blocks=3))
    with pytest.raises(RequestTooLargeError, match="KV cache holds 48"):
        served.ask(PROMPT, 10)
    assert served.engine.metrics.accounting() == Accounting()
    request = served.ask(PROMPT, 9, ignore_eos=True)
    served.drain()
    assert request.num_output_tokens == 9


def test_an_engine_is_not_made_for_a_precision_that_the_device_lacks(model: LoadedModel) -> None:
    with pytest.raises(PrecisionUnavailableError, match="fp8 cannot run here"):
        Engine(
            model,
            ROOMY,
            strategy=StrategyName.SINGLE,
            precision=PrecisionName.FP8,
            device=torch.device("cpu"),
            clock=LookClock(),
        )


# Aborting


@pytest.mark.parametrize("name", StrategyName)
def test_an_aborted_request_fails_and_the_others_go_on(
    name: StrategyName, model: LoadedModel
) -> None:
    served = CheckedEngine(model, name)
    requests = [served.ask((index, *PROMPT), 12, ignore_eos=True) for index in range(4)]
    while requests[0].num_output_tokens < 3:
        served.step()
    first_text = served.engine.deliveries[0].text
    for request in (requests[0], requests[3]):
        served.engine.abort(request.request_id)
        served.check()
    served.engine.abort(requests[0].request_id)
    served.engine.abort(999)
    served.drain()

    assert served.engine.metrics.accounting() == Accounting(submitted=4, finished=2, failed=2)
    assert [request.status for request in requests] == [
        Status.ABORTED,
        Status.FINISHED,
        Status.FINISHED,
        Status.ABORTED,
    ]
    gone = served.completions[0]
    assert (gone.latency, gone.request.finish_reason, gone.text) == (None, "aborted", first_text)
    assert len(requests[1].output_tokens) == 12
    # What was cut off is nobody's answer.
    assert served.engine.response_cache.entries == (2 if name in CACHING else 0)


# The response cache


@pytest.mark.parametrize("name", CACHING)
@pytest.mark.parametrize(
    "sampling", [Sampling(), Sampling(temperature=0.9, top_p=0.9, seed=3)], ids=["greedy", "seeded"]
)
def test_the_same_request_again_is_answered_at_once(
    name: StrategyName, sampling: Sampling, model: LoadedModel
) -> None:
    served = CheckedEngine(model, name)
    first = served.ask(PROMPT, 12, sampling=sampling, ignore_eos=True)
    served.drain()
    generated = served.engine.metrics.generated_tokens_total
    again = served.ask(PROMPT, 12, sampling=sampling, ignore_eos=True)
    assert again.done
    assert served.engine.has_work
    served.drain()
    answer = served.completions[again.request_id]
    assert answer.from_response_cache
    assert again.output_tokens == first.output_tokens
    assert answer.text == served.completions[first.request_id].text
    assert served.engine.metrics.generated_tokens_total == generated
    latency = answer.latency
    assert latency is not None
    assert (latency.ttft_s, latency.queue_s) == (None, None)
    assert latency.ttfb_s == latency.e2e_s


def test_what_is_sampled_anew_is_never_cached(model: LoadedModel) -> None:
    served = CheckedEngine(model, StrategyName.CACHED)
    sampling = Sampling(temperature=1.0)
    outputs = set()
    for _ in range(3):
        request = served.ask(PROMPT, 12, sampling=sampling, ignore_eos=True)
        served.drain()
        outputs.add(tuple(request.output_tokens))
    assert len(outputs) == 3
    assert served.engine.response_cache.entries == 0


@pytest.mark.parametrize("way_back", [False, True], ids=["switched", "switched back"])
def test_an_answer_that_two_precisions_wrote_is_not_cached(
    way_back: bool, model: LoadedModel
) -> None:
    served = CheckedEngine(model, StrategyName.CACHED)
    mixed = served.ask(PROMPT, 12, ignore_eos=True)
    while mixed.num_output_tokens < 5:
        served.step()
    served.engine.set_precision(PrecisionName.INT4)
    if way_back:
        while mixed.num_output_tokens < 8:
            served.step()
        served.engine.set_precision(PrecisionName.FP32)
    served.drain()
    assert mixed.num_output_tokens == 12
    assert served.engine.response_cache.entries == 0

    pure = served.ask(PROMPT, 12, ignore_eos=True)
    served.drain()
    assert not served.completions[pure.request_id].from_response_cache
    assert served.engine.response_cache.entries == 1


def test_a_strategy_without_caches_forgets_what_they_held(model: LoadedModel) -> None:
    served = CheckedEngine(model, StrategyName.HYBRID)
    served.ask(PROMPT, 12, ignore_eos=True)
    served.drain()
    counts = served.engine.blocks.counts()
    assert (served.engine.response_cache.entries, counts.evictable > 0) == (1, True)
    served.engine.set_strategy(StrategyName.STREAMING)
    assert served.engine.blocks.counts().free == counts.total
    served.engine.set_strategy(StrategyName.HYBRID)
    again = served.ask(PROMPT, 12, ignore_eos=True)
    served.drain()
    assert again.cached_prompt_tokens == 0
    assert not served.completions[again.request_id].from_response_cache


def test_an_answer_of_one_precision_is_not_given_at_another(model: LoadedModel) -> None:
    served = CheckedEngine(model, StrategyName.HYBRID)
    answers = {}
    for precision in (PrecisionName.FP32, PrecisionName.INT4, PrecisionName.FP32):
        served.engine.set_precision(precision)
        request = served.ask(PROMPT, 12, ignore_eos=True)
        served.drain()
        answers[request.request_id] = served.completions[request.request_id].from_response_cache
    assert list(answers.values()) == [False, False, True]


# Delivery


def latencies(name: StrategyName, model: LoadedModel) -> list[tuple[float, float, float]]:
    """TTFT, TTFB and E2E of a few requests that were generated."""
    served = CheckedEngine(model, name)
    for index in range(4):
        served.ask((index, *PROMPT), 24, ignore_eos=True)
    served.drain()
    found = []
    for completion in served.completions.values():
        latency = completion.latency
        assert latency is not None
        assert latency.ttft_s is not None
        found.append((latency.ttft_s, latency.ttfb_s, latency.e2e_s))
    return found


@pytest.mark.parametrize("name", AT_THE_END)
def test_delivery_at_the_end_brings_the_first_byte_with_the_last(
    name: StrategyName, model: LoadedModel
) -> None:
    for ttft_s, ttfb_s, e2e_s in latencies(name, model):
        assert ttft_s < ttfb_s == e2e_s


@pytest.mark.parametrize("name", STREAMING)
def test_streaming_brings_the_first_byte_long_before_the_last(
    name: StrategyName, model: LoadedModel
) -> None:
    for ttft_s, ttfb_s, e2e_s in latencies(name, model):
        assert ttft_s <= ttfb_s < e2e_s


def test_a_client_receives_its_text_once_however_delivery_changes(model: LoadedModel) -> None:
    served = CheckedEngine(model, StrategyName.STREAMING)
    request = served.ask(PROMPT, 30, ignore_eos=True)
    delivered = []
    for tokens, name in (
        (8, StrategyName.CONTINUOUS),
        (14, StrategyName.HYBRID),
        (20, StrategyName.SINGLE),
        (26, StrategyName.STREAMING),
    ):
        while request.num_output_tokens < tokens:
            served.step()
        served.engine.set_strategy(name)
        served.check()
        delivered.append(served.engine.deliveries[request.request_id].text)
    served.drain()
    assert len(delivered[0]) == len(delivered[0].rstrip("\ufffd"))
    assert delivered == sorted(set(delivered), key=len)
    final = served.texts[request.request_id]
    assert final == model.tokenizer.decode(request.output_tokens).rstrip("\ufffd")


# Switching precision


@pytest.mark.parametrize("precision", CPU_PRECISIONS)
def test_a_running_request_is_resumed_at_the_new_precision(
    precision: PrecisionName, model: LoadedModel
) -> None:
    served = CheckedEngine(model, StrategyName.CONTINUOUS, PrecisionName.BF16)
    requests = [served.ask((index, *PROMPT), 10, ignore_eos=True) for index in range(3)]
    while requests[2].num_output_tokens < 4:
        served.step()
    written = [list(request.output_tokens) for request in requests]
    served.engine.set_precision(precision)
    served.check()
    assert served.engine.precision is precision
    assert served.engine.blocks.counts().running == 0
    served.drain()
    for request, before in zip(requests, written, strict=True):
        assert request.output_tokens[: len(before)] == before
        assert request.num_output_tokens == 10


def test_a_precision_that_the_device_lacks_changes_nothing(model: LoadedModel) -> None:
    served = CheckedEngine(model, StrategyName.CACHED)
    request = served.ask(PROMPT, 10, ignore_eos=True)
    served.step()
    runner, held = served.engine.runner, list(request.block_ids)
    with pytest.raises(PrecisionUnavailableError, match="fp8 needs a GPU"):
        served.engine.set_precision(PrecisionName.FP8)
    assert served.engine.runner is runner
    assert request.block_ids == held
    served.drain()
    assert served.engine.response_cache.entries == 1


def test_a_precision_that_the_model_cannot_have_leaves_the_old_one_serving(tmp_path: Path) -> None:
    # int4's groups do not divide the 40 inputs of one of its layers.
    write_checkpoint(tmp_path, TinyShape(intermediate=40))
    write_tokenizer(tmp_path)
    model = load_model(str(tmp_path))
    expected = CheckedEngine(model, StrategyName.CONTINUOUS)
    alone = expected.ask(PROMPT, 10, ignore_eos=True)
    expected.drain()

    served = CheckedEngine(model, StrategyName.CONTINUOUS)
    request = served.ask(PROMPT, 10, ignore_eos=True)
    while request.num_output_tokens < 4:
        served.step()
    with pytest.raises(PrecisionUnavailableError, match="multiples of 32"):
        served.engine.set_precision(PrecisionName.INT4)
    served.check()
    assert served.engine.precision is PrecisionName.FP32
    served.drain()
    assert request.output_tokens == alone.output_tokens


# Counting


def test_batching_wastes_rows_on_finished_sequences_and_says_how_many(model: LoadedModel) -> None:
    served = CheckedEngine(model, StrategyName.BATCHED)
    for max_tokens in (2, 4, 8):
        served.ask((max_tokens, *PROMPT[:7]), max_tokens, ignore_eos=True)
    served.drain()
    totals = served.engine.metrics.throughput.totals(served.clock())
    # Eight steps of three rows, of which 2 + 4 + 8 were of use.
    assert (totals.rows, totals.ghost_rows) == (24, 10)
    assert totals.batch_waste == pytest.approx(10 / 24)
    assert totals.decode_tokens == 14


def test_computed_and_cached_prompt_tokens_are_counted_apart(model: LoadedModel) -> None:
    served = CheckedEngine(model, StrategyName.CACHED)
    served.ask(PROMPT, 4, ignore_eos=True)
    served.drain()
    served.ask((*PROMPT, 9), 4, ignore_eos=True)
    served.drain()
    totals = served.engine.metrics.throughput.totals(served.clock())
    assert totals.cached_tokens == 32
    assert totals.prefill_tokens == len(PROMPT) + len(PROMPT) + 1 - 32
    assert totals.decode_tokens == 8
    assert served.engine.metrics.hits.session(served.clock()).prefix == pytest.approx(32 / 81)
