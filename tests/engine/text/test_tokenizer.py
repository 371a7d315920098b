"""A checkpoint's tokenizer, and the numbers that stand for random weights' tokens."""

from pathlib import Path

import pytest
from checkpoints import END_OF_TEXT, END_OF_TEXT_ID, VOCABULARY
from hypothesis import given, settings
from hypothesis import strategies as st
from prodtop.engine.protocol.errors import BadInputError, CheckpointError
from prodtop.engine.text.cleaning import clean
from prodtop.engine.text.tokenizer import CheckpointTokenizer, NumberTokenizer
from tokenizers import Tokenizer, decoders, models, processors


@pytest.fixture(scope="module")
def tokenizer(tiny_folder: Path) -> CheckpointTokenizer:
    return CheckpointTokenizer(tiny_folder / "tokenizer.json", VOCABULARY)


@settings(deadline=None, max_examples=60)
@given(text=st.text(max_size=30))
def test_text_comes_back_clean_but_otherwise_unchanged(
    tokenizer: CheckpointTokenizer, text: str
) -> None:
    ids = tokenizer.encode(text)
    assert all(0 <= token < VOCABULARY for token in ids)
    # The name of a special token within the text is that token.
    if END_OF_TEXT not in text:
        assert tokenizer.decode(ids) == clean(text, keep_newlines=True)


def test_special_tokens_are_not_shown(tokenizer: CheckpointTokenizer) -> None:
    ids = [END_OF_TEXT_ID, *tokenizer.encode("mill"), END_OF_TEXT_ID]
    assert tokenizer.decode(ids) == "mill"
    stream = tokenizer.stream()
    assert "".join(map(stream.push, ids)) + stream.flush() == "mill"


def test_streams_are_independent(tokenizer: CheckpointTokenizer) -> None:
    first, second = tokenizer.stream(), tokenizer.stream()
    mill, cat = tokenizer.encode("old mill"), tokenizer.encode("😺")
    pieces: tuple[list[str], list[str]] = ([], [])
    for n in range(max(len(mill), len(cat))):
        pieces[0].extend(first.push(token) for token in mill[n : n + 1])
        pieces[1].extend(second.push(token) for token in cat[n : n + 1])
    assert ["".join(part) for part in pieces] == ["old mill", "😺"]


def test_a_flush_gives_the_broken_end_once(tokenizer: CheckpointTokenizer) -> None:
    stream = tokenizer.stream()
    tokens = tokenizer.encode("é😺")[:-1]
    shown = "".join(map(stream.push, tokens))
    assert shown == "é"
    assert shown + stream.flush() == tokenizer.decode(tokens)
    assert stream.flush() == ""


def test_prompts_begin_as_the_post_processor_says(tmp_path: Path, tiny_folder: Path) -> None:
    raw = Tokenizer.from_file(str(tiny_folder / "tokenizer.json"))
    raw.post_processor = processors.TemplateProcessing(
        single=f"{END_OF_TEXT} $A", special_tokens=[(END_OF_TEXT, END_OF_TEXT_ID)]
    )
    raw.save(str(tmp_path / "tokenizer.json"))
    tokenizer = CheckpointTokenizer(tmp_path / "tokenizer.json", VOCABULARY)
    ids = tokenizer.encode("mill")
    assert ids[0] == END_OF_TEXT_ID
    assert tokenizer.decode(ids) == "mill"


def test_a_stream_of_sentencepiece_tokens_keeps_the_spaces(tmp_path: Path) -> None:
    """Llama 2's kind drops the space before the first word of what it decodes, and only that."""
    vocabulary = {"<unk>": 0, "▁old": 1, "▁mill": 2, "<0xC3>": 3, "<0xA9>": 4}
    raw = Tokenizer(models.BPE(vocab=vocabulary, merges=[], unk_token="<unk>"))
    raw.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    raw.save(str(tmp_path / "tokenizer.json"))
    tokenizer = CheckpointTokenizer(tmp_path / "tokenizer.json", 5)
    stream = tokenizer.stream()
    ids = [1, 2, 1, 3, 4, 2]
    assert [stream.push(token) for token in ids] == ["old", " mill", " old", "", "", "é mill"]
    assert tokenizer.decode(ids) == "old mill oldé mill"


def test_more_tokens_than_the_model_has_are_refused(tiny_folder: Path) -> None:
    path = tiny_folder / "tokenizer.json"
    with pytest.raises(CheckpointError) as caught:
        CheckpointTokenizer(path, VOCABULARY - 1)
    assert f"{path}: has 320 tokens, more than the model's vocabulary of 319" in str(caught.value)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"version": "1.0"}', "\x00"])
def test_a_file_that_is_no_tokenizer_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(text)
    with pytest.raises(CheckpointError) as caught:
        CheckpointTokenizer(path, VOCABULARY)
    assert str(caught.value).startswith(f"{path}: not a tokenizer: ")
    assert "\n" not in str(caught.value)


def test_a_folder_without_a_tokenizer_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"has no tokenizer\.json"):
        CheckpointTokenizer(tmp_path / "tokenizer.json", VOCABULARY)


def test_tokens_of_random_weights_are_shown_as_numbers(tokenizer: CheckpointTokenizer) -> None:
    numbers = NumberTokenizer(tokenizer, 50)
    prompt = numbers.encode("Où est le moulin?")
    assert len(prompt) == len(tokenizer.encode("Où est le moulin?"))
    assert all(0 <= token < 50 for token in prompt)
    assert numbers.decode([7, 49]) == "#7 #49 "
    stream = numbers.stream()
    assert "".join(map(stream.push, [7, 49])) + stream.flush() == "#7 #49 "


def test_ids_past_the_tokenizers_last_are_no_text(tiny_folder: Path) -> None:
    """An embedding is often padded to a round number of rows, and random weights choose any."""
    tokenizer = CheckpointTokenizer(tiny_folder / "tokenizer.json", VOCABULARY + 64)
    stream = tokenizer.stream()
    ids = [*tokenizer.encode("mill"), VOCABULARY + 63]
    assert "".join(map(stream.push, ids)) + stream.flush() == "mill"
    assert tokenizer.decode(ids) == "mill"


def test_an_added_token_without_an_embedding_is_refused_only_where_it_is_used(
    tmp_path: Path, tiny_folder: Path
) -> None:
    """As the one that stands for an image in Gemma 3's smallest model, which sees none."""
    raw = Tokenizer.from_file(str(tiny_folder / "tokenizer.json"))
    raw.add_special_tokens(["<image>"])
    raw.save(str(tmp_path / "tokenizer.json"))
    tokenizer = CheckpointTokenizer(tmp_path / "tokenizer.json", VOCABULARY)
    assert tokenizer.decode(tokenizer.encode("mill")) == "mill"
    with pytest.raises(BadInputError, match="'<image>', which is no token of this model"):
        tokenizer.encode("an <image>")
