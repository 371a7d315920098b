"""The sequence of requests: a function of the spec, and the same request for the same prompt."""

from collections import Counter
from dataclasses import replace

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prodtop.engine.load.prompts import Prompt, bundled_prompts
from prodtop.engine.load.sequence import Arrival, RequestSequence
from prodtop.engine.protocol import LoadSpec
from prodtop.engine.protocol.bounds import check_load
from prodtop.engine.protocol.errors import BadInputError

PROMPTS = bundled_prompts()


def undated(arrival: Arrival) -> Arrival:
    return replace(arrival, arrival_at_s=0.0, number=0)


def test_the_same_spec_gives_the_same_requests() -> None:
    spec = LoadSpec(seed=4, temperature=0.8)
    assert RequestSequence(spec, PROMPTS).fixed(300, 1.0) == RequestSequence(spec, PROMPTS).fixed(
        300, 1.0
    )


def test_another_seed_gives_other_requests() -> None:
    first = RequestSequence(LoadSpec(seed=1), PROMPTS).fixed(50, 0.0)
    second = RequestSequence(LoadSpec(seed=2), PROMPTS).fixed(50, 0.0)
    assert sum(a.prompt_index == b.prompt_index for a, b in zip(first, second, strict=True)) < 25


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(0, 5000), min_size=1, max_size=30))
def test_requests_can_be_drawn_in_any_order(numbers: list[int]) -> None:
    spec = LoadSpec(seed=9)
    shuffled, fresh = RequestSequence(spec, PROMPTS), RequestSequence(spec, PROMPTS)
    found = {number: shuffled.draw(number, 0.0) for number in numbers}
    assert found == {number: fresh.draw(number, 0.0) for number in sorted(numbers)}


def test_a_prompt_asked_for_again_is_exactly_the_same_request() -> None:
    spec = LoadSpec(
        seed=3,
        temperature=1.0,
        prompt_tokens_min=10,
        prompt_tokens_max=90,
        zipf_exponent=1.2,
        fixed_seed_share=1.0,
    )
    arrivals = RequestSequence(spec, PROMPTS).fixed(2000, 0.0)
    distinct = {undated(arrival) for arrival in arrivals}
    assert len(distinct) == len({arrival.prompt_index for arrival in arrivals})
    assert len(distinct) < 1000


def test_only_a_share_of_the_requests_carries_the_seed_of_its_prompt() -> None:
    spec = LoadSpec(seed=3, fixed_seed_share=0.25)
    arrivals = RequestSequence(spec, PROMPTS).fixed(4000, 0.0)
    seeded = [arrival for arrival in arrivals if arrival.seed is not None]
    assert 0.22 < len(seeded) / len(arrivals) < 0.28
    seeds = {(arrival.prompt_index, arrival.seed) for arrival in seeded}
    assert len(seeds) == len({prompt_index for prompt_index, _ in seeds})


def test_a_prompt_set_is_drawn_from_evenly_or_by_popularity() -> None:
    even = Counter(
        arrival.prompt_index
        for arrival in RequestSequence(LoadSpec(zipf_exponent=0.0), PROMPTS).fixed(5000, 0.0)
    )
    steep = Counter(
        arrival.prompt_index
        for arrival in RequestSequence(LoadSpec(zipf_exponent=1.1), PROMPTS).fixed(5000, 0.0)
    )
    assert len(even) == len(PROMPTS)
    assert max(even.values()) < 50
    assert max(steep.values()) > 700


def test_arrivals_carry_what_the_spec_asks_for() -> None:
    spec = LoadSpec(
        output_tokens_min=5,
        output_tokens_max=7,
        prompt_tokens_min=32,
        prompt_tokens_max=64,
        temperature=0.7,
        top_p=0.9,
        ignore_eos=True,
        fixed_seed_share=1.0,
    )
    arrivals = RequestSequence(spec, PROMPTS).fixed(500, 12.5)
    assert {arrival.max_tokens for arrival in arrivals} == {5, 6, 7}
    assert {arrival.prompt_tokens for arrival in arrivals} <= set(range(32, 65))
    assert len({arrival.prompt_tokens for arrival in arrivals}) > 20
    for arrival in arrivals:
        assert arrival.prompt_index is not None
        assert arrival.text == PROMPTS[arrival.prompt_index].text
        assert (arrival.temperature, arrival.top_p, arrival.ignore_eos) == (0.7, 0.9, True)
        assert arrival.arrival_at_s == 12.5
        assert arrival.seed is not None
        assert arrival.seed >= 0
    assert [arrival.number for arrival in arrivals] == list(range(500))


def test_without_a_prompt_length_prompts_stay_as_they_are() -> None:
    arrivals = RequestSequence(LoadSpec(), PROMPTS).fixed(20, 0.0)
    assert {arrival.prompt_tokens for arrival in arrivals} == {None}


def test_other_output_lengths_leave_the_prompts_alone() -> None:
    short = RequestSequence(LoadSpec(output_tokens_max=17), PROMPTS).fixed(100, 0.0)
    long = RequestSequence(LoadSpec(output_tokens_max=700), PROMPTS).fixed(100, 0.0)
    assert [a.prompt_index for a in short] == [a.prompt_index for a in long]
    assert [a.seed for a in short] == [a.seed for a in long]


def test_one_prompt_is_enough_and_none_is_not() -> None:
    only = [Prompt("g", "Once.", "It was.")]
    assert {a.text for a in RequestSequence(LoadSpec(), only).fixed(9, 0.0)} == {"Once.\n\nIt was."}
    with pytest.raises(BadInputError, match="no prompt"):
        RequestSequence(LoadSpec(), [])


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"users": -1}, "users"),
        ({"users": 10**9}, "users"),
        ({"think_s": -0.1}, "think_s"),
        ({"think_s": float("nan")}, "think_s"),
        ({"rate_per_s": -1.0}, "rate"),
        ({"rate_per_s": float("inf")}, "rate"),
        ({"rate_per_s": float("nan")}, "rate"),
        ({"burstiness": 0.0}, "burstiness"),
        ({"zipf_exponent": -1.0}, "zipf_exponent"),
        ({"zipf_exponent": float("inf")}, "zipf_exponent"),
        ({"output_tokens_min": 0}, "output_tokens_min"),
        ({"output_tokens_min": 9, "output_tokens_max": 8}, "output_tokens_min"),
        ({"prompt_tokens_min": 5}, "prompt_tokens_min needs prompt_tokens_max"),
        ({"prompt_tokens_min": 5, "prompt_tokens_max": 4}, "prompt_tokens_min is above"),
        ({"temperature": -0.1}, "temperature"),
        ({"top_p": 0.0}, "top_p"),
        ({"top_p": 1.1}, "top_p"),
        ({"seed": -1}, "seed"),
    ],
    ids=lambda value: str(value),
)
def test_an_impossible_load_is_refused_by_name(changes: dict[str, float], named: str) -> None:
    spec = msgspec.structs.replace(LoadSpec(), **changes)
    with pytest.raises(BadInputError, match=named):
        check_load(spec)
    with pytest.raises(BadInputError, match=named):
        RequestSequence(spec, PROMPTS)
