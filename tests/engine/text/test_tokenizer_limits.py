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


def test_a_pattern_that_backtracks_for_ever_does_not_hold_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = byte_level()
    raw.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"(a|aa|aaa)+$"), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer = CheckpointTokenizer(save(raw, tmp_path), 4000)
    assert tokenizer.encode("ab")
    # Some seconds' work, so that what is left behind ends with the tests.
    monkeypatch.setattr(tokenizer_limits, "ENCODE_LIMIT_S", 0.05)
    for _ in range(2):
        with pytest.raises(BadInputError, match=r"the tokenizer takes more than 0\.05 s"):
            tokenizer.encode("a" * 34 + "b")
