"""The engine's greedy outputs against transformers', token for token, however they are served."""

from pathlib import Path

import pytest
from engine_harness import CHUNKED, ROOMY, SCARCE, CheckedEngine, model_of, with_eos
from greedy_oracle import Case, GreedyOracle
from prodtop.engine.protocol import StrategyName
from prodtop.engine.serving.settings import EngineSettings
from prodtop.engine.serving.strategy import STRATEGIES

# Around the edges of blocks of 16 tokens, and with a beginning that the longer ones share.
LENGTHS = [(1, 20), (3, 9), (15, 30), (16, 12), (17, 1), (50, 24), (70, 16), (49, 20), (100, 30)]
SHARED_PREFIX = 40


@pytest.fixture(scope="module")
def oracle(tiny_folder: Path) -> GreedyOracle:
    return GreedyOracle(tiny_folder)


@pytest.fixture(scope="module")
def cases(oracle: GreedyOracle) -> list[Case]:
    return oracle.cases(LENGTHS, shared_prefix=SHARED_PREFIX, seed=5)


def serve(served: CheckedEngine, cases: list[Case]) -> list[tuple[int, ...]]:
    """All at once, to the end; their outputs in the order of the cases."""
    requests = [served.ask(case.prompt, case.max_tokens, ignore_eos=True) for case in cases]
    served.drain()
    return [tuple(request.output_tokens) for request in requests]


@pytest.mark.parametrize("settings", [ROOMY, CHUNKED, SCARCE], ids=["roomy", "chunked", "scarce"])
@pytest.mark.parametrize("name", StrategyName)
def test_every_strategy_says_what_transformers_says(
    name: StrategyName, settings: EngineSettings, tiny_folder: Path, cases: list[Case]
) -> None:
    served = CheckedEngine(model_of(tiny_folder), name, settings=settings)
    outputs = [case.output for case in cases]
    assert serve(served, cases) == outputs
    # Again, in another order: now from whatever the caches have.
    assert serve(served, cases[::-1]) == outputs[::-1]

    strategy, engine = STRATEGIES[name], served.engine
    assert (engine.preemptions > 0) == (settings is SCARCE and strategy.max_seqs != 1)
    assert (engine.blocks.prefix_stats.hit_tokens > 0) == strategy.prefix_cache
    assert engine.response_cache.hits == (len(cases) if strategy.response_cache else 0)


def test_a_prefix_that_a_running_request_computed_is_shared(
    tiny_folder: Path, cases: list[Case]
) -> None:
    served = CheckedEngine(model_of(tiny_folder), StrategyName.CACHED)
    by_length = {len(case.prompt): case for case in cases}
    first = served.ask(by_length[100].prompt, by_length[100].max_tokens, ignore_eos=True)
    while first.num_output_tokens < 3:
        served.step()
    second = served.ask(by_length[50].prompt, by_length[50].max_tokens, ignore_eos=True)
    served.drain()
    assert second.cached_prompt_tokens == SHARED_PREFIX // 16 * 16
    assert tuple(first.output_tokens) == by_length[100].output
    assert tuple(second.output_tokens) == by_length[50].output


@pytest.mark.parametrize("name", StrategyName)
def test_an_end_of_text_ends_where_transformers_ends(
    name: StrategyName, tiny_folder: Path, oracle: GreedyOracle, cases: list[Case]
) -> None:
    longest = max(cases, key=lambda case: len(case.output))
    eos = longest.output[len(longest.output) // 2]
    stopped = oracle.case(longest.prompt, longest.max_tokens, eos_token_id=eos)
    assert stopped is not None
    assert 1 < len(stopped.output) < len(longest.output)

    served = CheckedEngine(with_eos(model_of(tiny_folder), eos), name)
    ends = served.ask(longest.prompt, longest.max_tokens)
    goes_on = served.ask(longest.prompt, longest.max_tokens, ignore_eos=True)
    served.drain()
    assert (tuple(ends.output_tokens), ends.finish_reason) == (stopped.output, "stop")
    assert (tuple(goes_on.output_tokens), goes_on.finish_reason) == (longest.output, "length")


def test_the_context_ends_a_text_as_its_length_does(tiny_folder: Path, cases: list[Case]) -> None:
    longest = max(cases, key=lambda case: len(case.prompt))
    context = len(longest.prompt) + 5
    settings = EngineSettings(max_seqs=2, token_budget=64, kv_blocks=16, context_tokens=context)
    served = CheckedEngine(model_of(tiny_folder), StrategyName.STREAMING, settings=settings)
    request = served.ask(longest.prompt, longest.max_tokens, ignore_eos=True)
    served.drain()
    assert tuple(request.output_tokens) == longest.output[:5]
    assert request.finish_reason == "length"


def test_every_strategy_delivers_the_same_texts(tiny_folder: Path, cases: list[Case]) -> None:
    model = model_of(tiny_folder)
    texts: dict[StrategyName, list[str]] = {}
    for name in StrategyName:
        served = CheckedEngine(model, name)
        requests = [served.ask(case.prompt, case.max_tokens, ignore_eos=True) for case in cases]
        served.drain()
        # Half a character at the end is shown as such, or not at all.
        texts[name] = [served.texts[each.request_id].rstrip("\ufffd") for each in requests]
    for name, found in texts.items():
        assert found == texts[StrategyName.SINGLE], name
    assert all(texts[StrategyName.SINGLE])


@pytest.mark.parametrize("name", StrategyName)
def test_a_stop_string_ends_a_text_under_every_strategy(
    name: StrategyName, tiny_folder: Path, cases: list[Case]
) -> None:
    model = model_of(tiny_folder)
    case = max(cases, key=lambda case: len(case.output))
    whole = model.tokenizer.decode(list(case.output))
    stop = whole[len(whole) // 2 :][:3]
    served = CheckedEngine(model, name)
    request = served.ask(case.prompt, case.max_tokens, ignore_eos=True, stop_strings=(stop,))
    served.drain()
    assert served.texts[request.request_id] == whole[: whole.index(stop)]
    assert request.finish_reason == "stop"
    assert request.num_output_tokens < len(case.output)


def test_the_cases_depend_on_all_of_the_prompt(oracle: GreedyOracle, cases: list[Case]) -> None:
    """An oracle that looks at the last token alone would not notice a wrong KV block."""
    differing = 0
    for case in cases:
        changed = (case.prompt[0] + 1) % oracle.vocabulary
        other = oracle.case((changed, *case.prompt[1:]), case.max_tokens)
        differing += other is None or other.output != case.output
    assert differing >= len(cases) - 1
