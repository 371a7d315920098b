"""The engine says, for every architecture, what transformers says greedily."""

import random
from pathlib import Path

import pytest
import torch
from architectures import ARCHITECTURES, write_model
from checkpoints import VOCABULARY, write_tokenizer
from engine_harness import CHUNKED, CheckedEngine, model_of
from greedy_oracle import Case, GreedyOracle
from prodtop.engine.protocol import StrategyName

# The oracle changes LongRoPE's frequencies once a text grows past the original context.
NAMES = [name for name in ARCHITECTURES if name not in ("phi3, short", "phi3, long")]


@pytest.mark.parametrize(
    "device", [torch.device("cpu"), pytest.param(torch.device("cuda", 0), marks=pytest.mark.gpu)]
)
@pytest.mark.parametrize("name", NAMES)
def test_greedy_texts_are_those_of_transformers(
    name: str, device: torch.device, tmp_path: Path
) -> None:
    write_model(tmp_path, name, seed=3)
    write_tokenizer(tmp_path)
    cases = clear_cases(GreedyOracle(tmp_path), count=3)
    served = CheckedEngine(model_of(tmp_path), StrategyName.HYBRID, settings=CHUNKED, device=device)
    requests = [served.ask(case.prompt, case.max_tokens, ignore_eos=True) for case in cases]
    served.drain()
    for request, case in zip(requests, cases, strict=True):
        assert tuple(request.output_tokens) == case.output


def clear_cases(oracle: GreedyOracle, count: int) -> list[Case]:
    """Cases longer than a sliding window whose every choice is clear."""
    rng = random.Random(8)
    cases: list[Case] = []
    while len(cases) < count:
        prompt = [rng.randrange(VOCABULARY) for _ in range(rng.choice((3, 20, 45)))]
        case = oracle.case(prompt, max_tokens=8)
        if case is not None:
            cases.append(case)
    return cases
