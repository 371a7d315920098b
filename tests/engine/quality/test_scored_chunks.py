"""How a text is cut: as llama.cpp and lm-eval do it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prodtop.engine.model.loading import BUNDLED_FOLDER
from prodtop.engine.protocol.errors import BadInputError
from prodtop.engine.quality.chunks import (
    beginning,
    encode_text,
    llama_cpp_chunks,
    prefix_of,
    rolling_chunks,
)
from prodtop.engine.text.tokenizer import CheckpointTokenizer, Tokenizer

BOS = 999


class WithAdditions:
    """A tokenizer of characters that puts tokens before and behind a prompt."""

    def __init__(self, before: list[int], behind: list[int]) -> None:
        self._before, self._behind = before, behind

    def encode(self, text: str) -> list[int]:
        return [*self._before, *map(ord, text), *self._behind]


@pytest.mark.parametrize("before", [[], [BOS], [BOS, 998]])
@pytest.mark.parametrize("behind", [[], [997]])
def test_a_texts_tokens_are_without_those_of_a_prompt(before: list[int], behind: list[int]) -> None:
    tokenizer: Tokenizer = WithAdditions(before, behind)  # type: ignore[assignment]  # encodes alone
    assert beginning(tokenizer) == before
    text = "line\n" * 30_000
    assert encode_text(tokenizer, text) == [*map(ord, text)]


def test_a_long_text_is_encoded_as_in_one_piece_where_lines_end() -> None:
    tokenizer = CheckpointTokenizer(BUNDLED_FOLDER / "tokenizer.json", 4096)
    text = (BUNDLED_FOLDER / "heldout.txt").read_text(encoding="utf-8")
    assert encode_text(tokenizer, text) == tokenizer.encode(text)


def test_llama_cpp_replaces_the_first_token_and_scores_the_second_half() -> None:
    chunks = llama_cpp_chunks(range(8 * 3 + 5), [BOS], 8)
    assert [chunk.tokens[0] for chunk in chunks] == [BOS] * 3
    assert [chunk.tokens[1:] for chunk in chunks] == [
        [*range(start + 1, start + 8)] for start in (0, 8, 16)
    ]
    # Of 512 tokens it scores 255: positions 256 … 510 predict the next one.
    assert {chunk.scored for chunk in chunks} == {3}
    assert llama_cpp_chunks(range(1024), [], 512)[0].scored == 255


def test_a_text_that_is_too_short_says_so() -> None:
    with pytest.raises(BadInputError, match="15 tokens: perplexity needs at least 16"):
        llama_cpp_chunks(range(15), [], 8)


@given(st.integers(1, 60), st.integers(1, 20), st.booleans())
def test_every_token_is_scored_once_and_sees_those_before(
    count: int, longest: int, begins: bool
) -> None:
    ids = [*range(100, 100 + count)]
    chunks = rolling_chunks(ids, [BOS] if begins else [], longest)
    scored = [token for chunk in chunks for token in chunk.tokens[chunk.first :]]
    whole = [BOS, *ids] if begins else ids
    assert scored == whole[1:]
    for chunk in chunks:
        assert 1 <= chunk.first < len(chunk.tokens) <= longest + 1
        begin = whole.index(chunk.tokens[0])
        assert chunk.tokens == whole[begin : begin + len(chunk.tokens)]
    assert all(chunk.first == 1 for chunk in chunks[:-1])
    if len(chunks) > 1:
        assert len(chunks[-1].tokens) == longest + 1, "the last one sees as much as the others"


@pytest.mark.parametrize(
    ("begins", "ends", "prefix"), [([BOS], {3}, [BOS]), ([], {7, 3}, [3]), ([], set(), [])]
)
def test_a_text_without_a_beginning_begins_after_an_end(
    begins: list[int], ends: set[int], prefix: list[int]
) -> None:
    tokenizer: Tokenizer = WithAdditions(begins, [])  # type: ignore[assignment]  # encodes alone
    assert prefix_of(tokenizer, ends) == prefix
