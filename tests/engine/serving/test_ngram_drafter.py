"""Looking up what followed the last tokens before."""

from hypothesis import given, settings
from hypothesis import strategies as st
from prodtop.engine.serving.ngram_drafter import NgramDrafter, NgramIndex
from prodtop.engine.serving.request import Request, Sampling


def request_of(request_id: int, tokens: list[int]) -> Request:
    return Request(
        request_id=request_id,
        prompt_tokens=tokens,
        max_tokens=8,
        sampling=Sampling(),
        arrival_at_s=0.0,
    )


def test_what_followed_before_is_proposed() -> None:
    assert NgramIndex((3, 2)).propose([1, 2, 3, 4, 5, 9, 1, 2, 3], 3) == [4, 5, 9]


def test_the_longest_match_goes_first_then_the_latest() -> None:
    text = [1, 2, 3, 70, 2, 3, 80, 2, 3, 90, 1, 2, 3]
    assert NgramIndex((3, 2)).propose(text, 1) == [70]
    assert NgramIndex((2,)).propose(text, 1) == [90]


def test_a_repetition_goes_on() -> None:
    assert NgramIndex((2,)).propose([7, 1, 2, 1, 2, 1, 2], 5) == [1, 2, 1, 2, 1]
    assert NgramIndex((2,)).propose([4, 4, 4], 4) == [4, 4, 4, 4]


def test_what_never_came_up_brings_nothing() -> None:
    index = NgramIndex((3, 2))
    assert index.propose([1, 2, 3, 4], 4) == []
    assert index.propose([1], 4) == []


def test_a_text_that_ended_is_forgotten() -> None:
    drafter = NgramDrafter(2, 3)
    assert drafter.propose([request_of(1, [1, 2, 1, 2])], [2]) == [[1, 2]]
    drafter.forget(1)
    # A new text under an old number: nothing of the old one is proposed.
    assert drafter.propose([request_of(1, [8, 1, 2])], [2]) == [[]]


def searched(tokens: list[int], sizes: tuple[int, ...], most: int) -> list[int]:
    """The same by searching the whole text anew."""
    for size in sizes:
        suffix = tokens[-size:]
        for end in range(len(tokens) - 1, size - 1, -1):
            if tokens[end - size : end] == suffix:
                grown = list(tokens)
                for index in range(most):
                    grown.append(grown[end + index])
                return grown[len(tokens) :]
    return []


@given(
    text=st.lists(st.integers(0, 3), min_size=1, max_size=60),
    first=st.integers(1, 60),
    most=st.integers(1, 6),
)
@settings(deadline=None)
def test_a_growing_index_finds_what_a_search_finds(text: list[int], first: int, most: int) -> None:
    index = NgramIndex((4, 3, 2))
    for end in range(min(first, len(text)), len(text) + 1):
        known = text[:end]
        assert index.propose(known, most) == searched(known, (4, 3, 2), most)
