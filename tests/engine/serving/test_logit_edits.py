"""Edits of logits: against a plain reference, and obeyed by what is generated."""

import math
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from engine_harness import CHUNKED, ROOMY, SCARCE, CheckedEngine, model_of, with_eos
from hypothesis import given, settings
from hypothesis import strategies as st
from known_outputs import ALWAYS
from prodtop.engine.protocol import StrategyName
from prodtop.engine.protocol.errors import BadInputError
from prodtop.engine.serving import transfers
from prodtop.engine.serving.logit_edits import NO_EDITS, LogitEdits
from prodtop.engine.serving.request import Request, Sampling
from prodtop.engine.serving.row_work import RowWork
from prodtop.engine.serving.runner import runner_for
from prodtop.engine.serving.settings import EngineSettings
from prodtop.engine.serving.step_plan import Chunk
from test_paged_runner import launched_one_by_one

VOCABULARY = 12
PROMPT = (5, 6, 7, 8, 9)
TOKENS = st.integers(0, VOCABULARY - 1)
PENALTIES = st.sampled_from([0.0, 0.5, -0.7, 2.0])
EDITS = st.builds(
    LogitEdits.of,
    presence_penalty=PENALTIES,
    frequency_penalty=PENALTIES,
    repetition_penalty=st.sampled_from([1.0, 1.3, 0.8]),
    logit_bias=st.dictionaries(TOKENS, st.sampled_from([-100.0, -1.5, 0.0, 2.0]), max_size=3),
    min_p=st.sampled_from([0.0, 0.05, 0.6, 1.0]),
    min_tokens=st.integers(0, 4),
)
LOGITS = st.lists(st.floats(-8, 8, width=32), min_size=VOCABULARY, max_size=VOCABULARY)


@st.composite
def requests(draw: st.DrawFn) -> Request:
    prompt = draw(st.lists(TOKENS, min_size=1, max_size=6))
    return Request(
        request_id=draw(st.integers(0, 10**9)),
        prompt_tokens=prompt,
        max_tokens=20,
        sampling=Sampling(temperature=draw(st.sampled_from([0.0, 0.7, 1.0, 3.0])), seed=1),
        arrival_at_s=0.0,
        stop_token_ids=frozenset({0, 1}),
        extra_stop_token_ids=frozenset(draw(st.lists(st.just(2), max_size=1))),
        ignore_eos=draw(st.booleans()),
        edits=draw(EDITS),
        tokens=prompt + draw(st.lists(TOKENS, max_size=6)),
    )


def newest(request: Request) -> Chunk:
    return Chunk(request, 1, request.num_tokens - 1)


def edited(logits: torch.Tensor, rows: list[Request]) -> torch.Tensor:
    logits = logits.clone()
    chunks = [newest(request) for request in rows]
    work = RowWork.of(chunks, chunks, lambda: range(len(chunks)))
    if work is not None:
        work.edit(logits)
    return logits


def reference(logits: list[float], request: Request) -> list[float]:
    """One row in float64, token by token, as OpenAI and Keskar et al. write the edits down."""
    edits, output = request.edits, Counter(request.output_tokens)
    bias = dict(edits.logit_bias)
    scores = []
    for token, logit in enumerate(logits):
        score = logit + bias.get(token, 0.0)
        if token in request.tokens:
            penalty = edits.repetition_penalty
            score = score / penalty if score > 0 else score * penalty
        score -= edits.frequency_penalty * output[token]
        score -= edits.presence_penalty * (output[token] > 0)
        stops = request.extra_stop_token_ids
        stops = stops if request.ignore_eos else stops | request.stop_token_ids
        if token in stops and request.num_output_tokens < edits.min_tokens:
            score = -math.inf
        scores.append(score)
    temperature = request.sampling.temperature
    if edits.min_p and temperature:
        best = max(scores)
        return [
            score
            if math.exp((score - best) / temperature) >= edits.min_p * (1 - 1e-5)
            else -math.inf
            for score in scores
        ]
    return scores


@settings(deadline=None, max_examples=150)
@given(
    rows=st.lists(st.tuples(requests(), LOGITS), min_size=1, max_size=4), height=st.integers(1, 4)
)
def test_edits_are_those_of_the_reference(
    rows: list[tuple[Request, list[float]]], height: int
) -> None:
    """Whatever number of rows is looked at together."""
    logits = torch.tensor([logits for _, logits in rows])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transfers, "_SLICE_LOGITS", VOCABULARY * height)
        whole = edited(logits, [request for request, _ in rows])
    for found, (request, row) in zip(whole.tolist(), rows, strict=True):
        expected = reference(row, request)
        kept = np.isfinite(expected)
        assert np.array_equal(np.isfinite(found), kept)
        assert np.array(found)[kept] == pytest.approx(np.array(expected)[kept], abs=1e-4)


@settings(deadline=None, max_examples=60)
@given(rows=st.lists(st.tuples(requests(), LOGITS), min_size=2, max_size=4))
def test_a_row_does_not_depend_on_its_neighbours(
    rows: list[tuple[Request, list[float]]],
) -> None:
    together = edited(torch.tensor([row for _, row in rows]), [request for request, _ in rows])
    for found, (request, logits) in zip(together, rows, strict=True):
        alone = edited(torch.tensor([logits]), [replace(request)])[0]
        assert torch.equal(found, alone)


@settings(deadline=None, max_examples=40)
@given(request=requests(), tokens=st.lists(TOKENS, max_size=8), logits=LOGITS)
def test_edits_that_follow_a_text_are_those_of_the_whole_text(
    request: Request, tokens: list[int], logits: list[float]
) -> None:
    values = torch.tensor([logits])
    for token in tokens:
        edited(values, [request])
        request.tokens.append(token)
    anew = replace(request, tokens=list(request.tokens), effects=None)
    assert torch.equal(edited(values, [request]), edited(values, [anew]))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_broken_logits_stay_broken_and_large_ones_stay_finite(dtype: torch.dtype) -> None:
    request = Request(
        request_id=0,
        prompt_tokens=[0, 1, 2, 3],
        max_tokens=4,
        sampling=Sampling(),
        arrival_at_s=0.0,
        tokens=[0, 1, 2, 3, 3],
        edits=LogitEdits.of(
            repetition_penalty=1e-38,
            presence_penalty=-3e38,
            frequency_penalty=3e38,
            logit_bias={4: 3e38, 5: -3e38},
        ),
    )
    row = torch.tensor([[math.nan, math.inf, -math.inf, 3.0, 1.0, 1.0]], dtype=dtype)
    found = edited(row, [request])[0]
    assert found[0].isnan()
    assert found[1] == math.inf
    assert found[2] == -math.inf
    assert found[3:].isfinite().all()


# What is generated


@pytest.mark.parametrize("sampling", [Sampling(), Sampling(temperature=1.0, seed=5)])
@pytest.mark.parametrize("limits", [ROOMY, CHUNKED, SCARCE], ids=["roomy", "chunked", "scarce"])
def test_edits_are_obeyed_in_a_mixed_batch_and_across_preemptions(
    sampling: Sampling, limits: EngineSettings, tiny_folder: Path
) -> None:
    """Beside requests without any, and with drafts for those: each as it is alone."""
    model = with_eos(model_of(tiny_folder), *range(100, 200))
    wishes = [
        NO_EDITS,
        LogitEdits.of(presence_penalty=1e4),
        LogitEdits.of(frequency_penalty=1e4),
        LogitEdits.of(repetition_penalty=1e6),
        LogitEdits.of(logit_bias={7: 1e4}),
        LogitEdits.of(min_tokens=9),
        LogitEdits.of(min_p=1.0),
    ]
    together = CheckedEngine(
        model,
        StrategyName.CONTINUOUS,
        settings=replace(limits, speculation=ALWAYS),
    )
    found = [
        together.ask(PROMPT, 24, sampling=sampling, edits=edits, ignore_eos=edits.min_tokens == 0)
        for edits in wishes
    ]
    together.drain()
    for edits, request in zip(wishes, found, strict=True):
        alone = CheckedEngine(model, StrategyName.SINGLE)
        again = alone.ask(
            PROMPT, 24, sampling=sampling, edits=edits, ignore_eos=edits.min_tokens == 0
        )
        alone.drain()
        assert again.output_tokens == request.output_tokens
    plain, presence, frequency, repetition, biased, long, likeliest = found
    for request in (presence, frequency, repetition):
        assert len(set(request.output_tokens)) == 24, "no token comes twice"
    assert not set(repetition.output_tokens) & set(PROMPT)
    assert set(biased.output_tokens) == {7}
    assert long.num_output_tokens >= 9
    assert not set(long.output_tokens[:9]) & set(range(100, 200))
    assert plain.num_output_tokens == likeliest.num_output_tokens == 24


def test_both_runners_edit_alike(tiny_folder: Path) -> None:
    """Also a step ahead, where no edit hangs on a token that is still on the device."""
    model = with_eos(model_of(tiny_folder), *range(100, 200))
    wishes = [
        NO_EDITS,
        LogitEdits.of(frequency_penalty=0.5, presence_penalty=0.1, repetition_penalty=1.2),
        LogitEdits.of(min_tokens=3, logit_bias={9: 3.0}, min_p=0.05),
    ]
    outputs = []
    for make in (runner_for, launched_one_by_one):
        served = CheckedEngine(model, StrategyName.CONTINUOUS, runner_for=make)
        found = [
            served.ask(PROMPT, 4, sampling=Sampling(temperature=1.0, seed=seed), edits=edits)
            for seed, edits in enumerate(wishes)
        ]
        served.drain()
        outputs.append([request.output_tokens for request in found])
    assert outputs[0] == outputs[1]


def test_the_response_cache_knows_edits_apart(tiny_folder: Path) -> None:
    served = CheckedEngine(model_of(tiny_folder), StrategyName.HYBRID)
    for edits in (NO_EDITS, LogitEdits.of(logit_bias={7: 50.0}), NO_EDITS):
        served.ask(PROMPT, 4, edits=edits, ignore_eos=True)
        served.drain()
    assert (served.engine.response_cache.entries, served.engine.response_cache.hits) == (2, 1)


@pytest.mark.parametrize(
    ("edits", "words"),
    [
        (LogitEdits.of(presence_penalty=math.nan), "presence_penalty must be a number"),
        (LogitEdits.of(frequency_penalty=math.inf), "frequency_penalty must be a number"),
        (LogitEdits.of(repetition_penalty=0.0), "repetition_penalty must be a number above 0"),
        (LogitEdits.of(repetition_penalty=math.nan), "repetition_penalty must be a number above 0"),
        (LogitEdits.of(min_p=1.5), "min_p must be from 0 to 1"),
        (LogitEdits.of(min_tokens=-1), "min_tokens must be at least 0"),
        (LogitEdits.of(logit_bias={320: 1.0}), "logit_bias has token 320"),
        (LogitEdits.of(logit_bias={3: 1e39}), "logit_bias of token 3"),
        (LogitEdits.of(logit_bias={3: math.nan}), "logit_bias of token 3"),
    ],
)
def test_impossible_edits_are_refused(edits: LogitEdits, words: str, tiny_folder: Path) -> None:
    served = CheckedEngine(model_of(tiny_folder), StrategyName.CONTINUOUS)
    with pytest.raises(BadInputError, match=words):
        served.ask(PROMPT, 4, edits=edits)
