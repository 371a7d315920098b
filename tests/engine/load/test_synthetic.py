"""Prompts of random tokens: their length, their tokens, and what they share."""

from hypothesis import given
from hypothesis import strategies as st
from prodtop.engine.load.synthetic import SyntheticPrompt, SyntheticPrompts

VOCABULARY = 500
ENDS = frozenset({0, 7, 499})
PROMPTS = st.builds(
    SyntheticPrompt,
    tokens=st.integers(1, 200),
    number=st.integers(0, 3),
    round=st.integers(0, 2),
    hash_ids=st.lists(st.integers(0, 3), max_size=5).map(tuple),
    block_tokens=st.just(64),
)


def made(prompt: SyntheticPrompt, seed: int = 0) -> list[int]:
    return SyntheticPrompts(VOCABULARY, ENDS, seed).make(prompt)


@given(PROMPTS, st.integers(0, 5))
def test_a_prompt_has_its_length_and_ordinary_tokens_the_same_each_time(
    prompt: SyntheticPrompt, seed: int
) -> None:
    tokens = made(prompt, seed)
    assert len(tokens) == prompt.tokens
    assert all(0 <= token < VOCABULARY and token not in ENDS for token in tokens)
    assert tokens == made(prompt, seed)


@given(PROMPTS, PROMPTS)
def test_prompts_share_the_blocks_of_equal_ids_and_nothing_else(
    one: SyntheticPrompt, other: SyntheticPrompt
) -> None:
    maker = SyntheticPrompts(VOCABULARY, ENDS, 0)
    first, second = maker.make(one), maker.make(other)
    for start in range(0, min(len(first), len(second)), 64):
        place = start // 64
        end = min(start + 64, len(first), len(second))
        ids = [each.hash_ids[place : place + 1] for each in (one, other)]
        # What follows the ids is the prompt's own; where it begins is part of it.
        own = not any(ids) and (one.number, len(one.hash_ids)) == (
            other.number,
            len(other.hash_ids),
        )
        same = one.round == other.round and ((ids[0] == ids[1] and any(ids)) or own)
        if same and not own:
            assert first[start:end] == second[start:end]
        elif not same and end - start >= 16:
            assert first[start:end] != second[start:end]


def test_another_seed_makes_other_prompts() -> None:
    prompt = SyntheticPrompt(tokens=64, number=0)
    assert made(prompt, 1) != made(prompt, 2)
