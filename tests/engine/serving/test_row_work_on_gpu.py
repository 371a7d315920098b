"""Edits, logprobs and grammars beside graphs on a CUDA device: as plain PyTorch has them.

On a CPU a part of it runs too: steps launched one by one, under Triton's interpreter.
"""

import math
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from engine_harness import CHUNKED, CPU, ROOMY, CheckedEngine, model_of, with_eos
from prodtop.engine.protocol import PrecisionName, StrategyName
from prodtop.engine.serving.logit_edits import NO_EDITS, LogitEdits
from prodtop.engine.serving.paged_runner import PagedRunner
from prodtop.engine.serving.request import Request, Sampling, Status
from prodtop.engine.serving.runner import runner_for
from prodtop.engine.serving.settings import EngineSettings
from test_grammar import CHOICE, JSON, REGEX, assert_follows, bundled, text_of
from test_logprobs import assert_logprobs
from test_paged_runner import launched_one_by_one
from transformers import AutoModelForCausalLM

CUDA = torch.device("cuda", 0)
STRATEGIES = [StrategyName.CONTINUOUS, StrategyName.HYBRID]
RUNS = [
    pytest.param(
        CPU,
        StrategyName.CONTINUOUS,
        marks=pytest.mark.skipif(
            torch.cuda.is_available(), reason="kernels are not interpreted beside a GPU"
        ),
        id="interpreter",
    ),
    *(pytest.param(CUDA, name, marks=pytest.mark.gpu, id=f"graphs-{name}") for name in STRATEGIES),
]
NEAR_TIE = 0.15
"""Nats: where two tokens are as close, the rounding of bf16 may decide between them."""
PRECISIONS = [PrecisionName.BF16, PrecisionName.INT8, PrecisionName.INT4]
PROMPT = tuple(range(5, 27))
SAMPLED = Sampling(temperature=1.0, seed=5)
EOS = range(100, 200)
WISHES = {
    "presence": LogitEdits.of(presence_penalty=1e4),
    "frequency": LogitEdits.of(frequency_penalty=1e4),
    "repetition": LogitEdits.of(repetition_penalty=1e6),
    "bias": LogitEdits.of(logit_bias={7: 1e4}),
    "min_tokens": LogitEdits.of(min_tokens=5),
    "min_p": LogitEdits.of(min_p=1.0),
}


def engine_on(
    device: torch.device,
    folder: Path,
    name: StrategyName = StrategyName.CONTINUOUS,
    precision: PrecisionName = PrecisionName.FP32,
    limits: EngineSettings = ROOMY,
) -> CheckedEngine:
    """Its runner is the one under test, with graphs where it can have them."""
    served = CheckedEngine(
        with_eos(model_of(folder), *EOS),
        name,
        precision,
        settings=limits,
        runner_for=launched_one_by_one if device == CPU else runner_for,
        device=device,
    )
    runner = served.engine.runner
    assert isinstance(runner, PagedRunner)
    assert (runner.graphs is None) is (device == CPU)
    return served


def assert_obeyed(wishes: dict[str, Request], length: int) -> None:
    for name in ("presence", "frequency", "repetition"):
        assert len(set(wishes[name].output_tokens)) == length, f"{name}: no token comes twice"
    assert not set(wishes["repetition"].output_tokens) & set(PROMPT)
    assert set(wishes["bias"].output_tokens) == {7}
    assert not set(wishes["min_tokens"].output_tokens[:5]) & set(EOS)
    assert wishes["min_tokens"].num_output_tokens >= min(5, length)


@pytest.mark.parametrize(("device", "name"), RUNS)
@pytest.mark.parametrize(
    "sampling",
    [pytest.param(Sampling(), marks=pytest.mark.gpu), SAMPLED],
    ids=["greedy", "sampled"],
)
def test_edits_are_those_of_plain_pytorch(
    sampling: Sampling, name: StrategyName, device: torch.device, tiny_folder: Path
) -> None:
    """In fp32, token for token, each as it is alone under the runner of plain PyTorch."""
    length = 24 if device == CUDA else 2
    together = engine_on(device, tiny_folder, name)
    wishes = {"plain": NO_EDITS, **WISHES}
    found = {
        wish: together.ask(
            PROMPT, length, sampling=sampling, edits=edits, ignore_eos=wish != "min_tokens"
        )
        for wish, edits in wishes.items()
    }
    together.drain()
    assert_obeyed(found, length)
    for wish, request in found.items():
        alone = CheckedEngine(together.engine.model, StrategyName.SINGLE)
        again = alone.ask(
            PROMPT,
            length,
            sampling=sampling,
            edits=wishes[wish],
            ignore_eos=wish != "min_tokens",
        )
        alone.drain()
        assert again.output_tokens == request.output_tokens, wish


@pytest.mark.gpu
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("limits", [ROOMY, CHUNKED], ids=["roomy", "chunked"])
def test_edits_are_obeyed_at_every_precision(
    limits: EngineSettings, name: StrategyName, precision: PrecisionName, tiny_folder: Path
) -> None:
    served = engine_on(CUDA, tiny_folder, name, precision, limits)
    for sampling in (Sampling(), SAMPLED):
        found = {
            wish: served.ask(
                PROMPT, 24, sampling=sampling, edits=edits, ignore_eos=wish != "min_tokens"
            )
            for wish, edits in WISHES.items()
        }
        served.drain()
        assert_obeyed(found, 24)


@pytest.mark.parametrize(("device", "name"), RUNS)
def test_logprobs_are_those_of_transformers(
    name: StrategyName, device: torch.device, tiny_folder: Path
) -> None:
    oracle = AutoModelForCausalLM.from_pretrained(tiny_folder, dtype=torch.float32)
    served = engine_on(device, tiny_folder, name, limits=CHUNKED if device == CUDA else ROOMY)
    wishes: list[tuple[int | None, int | None]] = [(None, None), (0, None), (4, 2), (None, 0)]
    requests = [
        served.ask(
            (*PROMPT, 40 + n),
            12 if device == CUDA else 1,
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


@pytest.mark.gpu
@pytest.mark.parametrize("precision", PRECISIONS)
def test_logprobs_are_those_of_what_was_sampled(
    precision: PrecisionName, tiny_folder: Path
) -> None:
    """At any precision: greedy tokens are the likeliest, and all of a row add up to one."""
    served = engine_on(CUDA, tiny_folder, precision=precision)
    vocabulary = served.engine.model.config.vocabulary
    request = served.ask(PROMPT, 12, ignore_eos=True, logprobs=vocabulary, prompt_logprobs=1)
    served.drain()
    assert len(request.token_logprobs) == 12
    assert len(request.prompt_token_logprobs) == len(PROMPT) - 1
    for entry, token in zip(request.token_logprobs, request.output_tokens, strict=True):
        values = dict(entry.top)
        assert (entry.token_id, entry.rank) == (token, 1)
        assert values[token] == pytest.approx(entry.logprob, abs=1e-6)
        assert values[token] == max(values.values())
        assert sum(map(math.exp, values.values())) == pytest.approx(1, abs=1e-3)


def neighbours(served: CheckedEngine, among: Sequence[str]) -> list[Request]:
    """Requests that need work of their own; they end before or after a plain one."""
    asked = []
    for n, wish in enumerate(among):
        grammar = {"json": JSON, "choice": CHOICE}.get(wish)
        asked.append(
            served.ask(
                (*PROMPT[3:], 50 + n),
                9 + 4 * n,
                sampling=Sampling(temperature=1.0, seed=n),
                edits=WISHES.get(wish, NO_EDITS),
                logprobs=2 if wish == "logprobs" else None,
                prompt_logprobs=0 if wish == "logprobs" else None,
                grammar=grammar,
                ignore_eos=grammar is None,
            )
        )
    return asked


@pytest.mark.gpu
@pytest.mark.parametrize("precision", [PrecisionName.FP32, *PRECISIONS])
@pytest.mark.parametrize("name", STRATEGIES)
def test_a_plain_row_says_what_it_says_beside_plain_rows(
    name: StrategyName, precision: PrecisionName, tiny_folder: Path
) -> None:
    """Once all are replayed as graphs, once the neighbours' rows are edited between a step's parts.

    Other heights of a step have other products. In fp32 that turns nothing; below it, only what was
    nearly a tie.
    """
    exact = precision is PrecisionName.FP32
    kinds = ("presence", "min_p", "logprobs", "choice", "bias", "json")
    outputs = []
    for among in (("plain",) * len(kinds), kinds):
        served = engine_on(CUDA, tiny_folder, name, precision)
        samplings = (Sampling(), SAMPLED if exact else Sampling())
        plain = [
            served.ask((*PROMPT, n), 40, sampling=each, ignore_eos=True)
            for n, each in enumerate(samplings)
        ]
        others = neighbours(served, among)
        served.drain()
        assert all(request.status is Status.FINISHED for request in others)
        outputs.append([request.output_tokens for request in plain])
    for n, (alike, beside) in enumerate(zip(*outputs, strict=True)):
        pairs = enumerate(zip(alike, beside, strict=True))
        split = next((place for place, (one, other) in pairs if one != other), None)
        if split is not None:
            assert not exact, f"row {n} differs from token {split} on"
            gap = gap_between(served, (*PROMPT, n, *alike[:split]), alike[split], beside[split])
            assert gap < NEAR_TIE, f"row {n} differs from token {split} on"


def gap_between(served: CheckedEngine, tokens: tuple[int, ...], one: int, other: int) -> float:
    """Nats by which the likelier of two next tokens is so."""
    vocabulary = served.engine.model.config.vocabulary
    request = served.ask(tokens, 1, ignore_eos=True, logprobs=vocabulary)
    served.drain()
    values = dict(request.token_logprobs[0].top)
    return abs(values[one] - values[other])


@pytest.mark.gpu
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", STRATEGIES)
def test_every_text_follows_its_grammar(name: StrategyName, precision: PrecisionName) -> None:
    model = bundled()
    served = CheckedEngine(model, name, precision, device=CUDA)
    assert isinstance(served.engine.runner, PagedRunner)
    asked: list[tuple[str | None, Request]] = []
    for seed in range(6):
        for grammar in (JSON, REGEX, CHOICE, None):
            request = served.ask(
                (*PROMPT, 30 + seed),
                200 if grammar else 8,
                sampling=Sampling(temperature=1.0, seed=seed) if seed else Sampling(),
                grammar=grammar,
                edits=LogitEdits.of(min_tokens=1, presence_penalty=0.1 * (seed % 2)),
                logprobs=2 if seed == 3 else None,
                ignore_eos=grammar is None,
            )
            asked.append((grammar, request))
    served.drain()
    for grammar, request in asked:
        assert request.status is Status.FINISHED
        if grammar is not None:
            assert request.finish_reason == "stop"
            assert_follows(grammar, text_of(model, request))


@pytest.mark.gpu
def test_graphs_are_replayed_again_once_such_requests_have_ended(tiny_folder: Path) -> None:
    served = engine_on(CUDA, tiny_folder)
    neighbours(served, ("frequency", "logprobs"))
    served.drain()
    plain = served.ask(PROMPT, 24, ignore_eos=True)
    served.drain()
    runner = served.engine.runner
    assert isinstance(runner, PagedRunner)
    assert runner.graphs is not None
    assert len(runner.graphs)
    alone = CheckedEngine(served.engine.model, StrategyName.SINGLE)
    again = alone.ask(PROMPT, 24, ignore_eos=True)
    alone.drain()
    assert plain.output_tokens == again.output_tokens
