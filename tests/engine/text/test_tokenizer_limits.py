"""Tokenizers that would take all of the memory or time: refused by name."""

from collections.abc import Callable
from pathlib import Path

import pytest
from prodtop.engine.protocol.errors import BadInputError, CheckpointError
from prodtop.engine.text import tokenizer_limits
from prodtop.engine.text.tokenizer import CheckpointTokenizer
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from vocabularies import byte_fallback, byte_level, save

LONG = "x" * 5000


def with_long_token() -> Tokenizer:
    return Tokenizer(models.WordLevel({"a": 0, LONG: 1}, unk_token="a"))


def with_long_added_token() -> Tokenizer:
    tokenizer = byte_level()
    tokenizer.add_tokens([AddedToken(LONG)])
    return tokenizer


def with_long_replacement() -> Tokenizer:
    return byte_fallback(decoders.Sequence([decoders.Replace("▁", LONG), decoders.Fuse()]))


def with_long_normalization() -> Tokenizer:
    tokenizer = byte_level()
    tokenizer.normalizer = normalizers.Sequence([normalizers.Replace("a", LONG)])
    return tokenizer


@pytest.mark.parametrize(
    "make",
    [with_long_token, with_long_added_token, with_long_replacement, with_long_normalization],
)
def test_a_token_of_any_length_is_refused(tmp_path: Path, make: Callable[[], Tokenizer]) -> None:
    path = save(make(), tmp_path)
    with pytest.raises(CheckpointError, match="has a token of 5000 characters") as caught:
        CheckpointTokenizer(path, 4000)
    assert str(caught.value).startswith(str(path))


def test_a_file_of_any_size_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(CheckpointError, match=r"tokenizer\.json: larger than 256 MiB"):
        CheckpointTokenizer(path, 4000)


BACKTRACKS = "a" * 34 + "b"


@pytest.fixture
def backtracking(tmp_path: Path) -> CheckpointTokenizer:
    """A tokenizer that needs about a second for `BACKTRACKS`, and panics then."""
    raw = byte_level()
    raw.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"(a|aa|aaa)+$"), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    return CheckpointTokenizer(save(raw, tmp_path), 4000)


def test_a_text_that_takes_too_long_is_refused_and_so_are_later_ones(
    backtracking: CheckpointTokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert backtracking.encode("ab")
    monkeypatch.setattr(tokenizer_limits, "ENCODE_LIMIT_S", 0.001)
    for text in (BACKTRACKS, "ab"):
        with pytest.raises(BadInputError, match=r"the tokenizer takes more than 0\.001 s"):
            backtracking.encode(text)


def test_a_panic_of_the_library_refuses_that_text_alone(backtracking: CheckpointTokenizer) -> None:
    with pytest.raises(BadInputError, match="the tokenizer cannot encode a text: ") as caught:
        backtracking.encode(BACKTRACKS)
    assert "\n" not in str(caught.value)
    assert backtracking.encode("ab")
