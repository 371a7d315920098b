"""The tokenizers of GGUF files beside those that they were made from."""

from collections.abc import Callable

import pytest
from gguf_samples import TEMPLATE
from hypothesis import given
from hypothesis import strategies as st
from prodtop.engine.model.gguf.metadata import Metadata
from prodtop.engine.model.gguf.splitting import SPLITTINGS
from prodtop.engine.model.gguf.tokenizer import build_tokenizer
from prodtop.engine.protocol.errors import BadInputError, CheckpointError
from prodtop.engine.text.chat_template import ChatMessage
from prodtop.engine.text.tokenizer import VocabularyTokenizer
from tokenizers import pre_tokenizers

BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
WORDS = ["▁t", "he", "▁the", "▁a", "in", "▁in", "er", "▁▁"]
PIECES = ["<unk>", "<s>", "</s>", *BYTES, *WORDS, "▁", *"abcdefghijklmnopqrstuvwxyz.,"]
ALPHABET = sorted(pre_tokenizers.ByteLevel.alphabet())


def build(**keys: object) -> VocabularyTokenizer:
    values = {f"tokenizer.ggml.{key}": value for key, value in keys.items()}
    template = values.pop("tokenizer.ggml.template", None)
    if template is not None:
        values["tokenizer.chat_template"] = template
    return build_tokenizer(Metadata(values, "m.gguf"), 2000)


def scored(**keys: object) -> VocabularyTokenizer:
    # As SentencePiece numbers them: what was merged first has the highest score.
    scores = [-float(n) for n in range(len(PIECES))]
    types = [2, 3, 3, *[6] * 256, *[1] * (len(PIECES) - 259)]
    given_keys: dict[str, object] = {
        "model": "llama",
        "tokens": PIECES,
        "scores": scores,
        "token_type": types,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "unknown_token_id": 0,
    }
    return build(**(given_keys | keys))


def byte_level(pre: str, **keys: object) -> VocabularyTokenizer:
    tokens = ["<|end|>", *ALPHABET, "Ġt", "he", "<tool>"]
    types = [3, *[1] * (len(tokens) - 2), 4]
    return build(
        model="gpt2",
        pre=pre,
        tokens=tokens,
        token_type=types,
        merges=["Ġ t", "h e"],
        bos_token_id=0,
        eos_token_id=0,
        **keys,
    )


def pieces(tokenizer: VocabularyTokenizer, text: str) -> list[str]:
    names = tokenizer.tokens()
    return [names[token_id] for token_id in tokenizer.encode(text)]


def test_pieces_are_merged_by_their_scores() -> None:
    assert pieces(scored(), "the in") == ["<s>", "▁the", "▁in"]
    assert pieces(scored(), "é") == ["<s>", "▁", "<0xC3>", "<0xA9>"]
    assert pieces(scored(add_bos_token=False, add_eos_token=True), "a") == ["▁a", "</s>"]
    assert pieces(scored(add_space_prefix=False), "the") == ["<s>", "t", "he"]


@given(text=st.text(st.characters(exclude_categories=["Cs", "Cc", "Cf", "Zl", "Zp"])))
def test_every_text_comes_back(text: str) -> None:
    for tokenizer in (SCORED, *BYTE_LEVEL):
        clear = text.replace("▁", "")
        ids = tokenizer.encode(clear)
        assert tokenizer.decode(ids) == clear
        stream = tokenizer.stream()
        assert "".join(map(stream.push, ids)) + stream.flush() == clear


SCORED = scored()
BYTE_LEVEL = [byte_level(pre) for pre in SPLITTINGS if SPLITTINGS[pre].normalizer is None]

TEXT = "It's 1984 IN!!\n\n  x"
SPLITS: dict[str, list[str]] = {
    "gpt-2": ["It", "'s", " 1984", " IN", "!!", "\n\n ", " x"],
    "smollm": ["It", "'s", " ", "1", "9", "8", "4", " IN", "!!", "\n\n ", " x"],
    "llama-bpe": ["It", "'s", " ", "198", "4", " IN", "!!\n\n", " ", " x"],
    "qwen2": ["It", "'s", " ", "1", "9", "8", "4", " IN", "!!\n\n", " ", " x"],
    "tekken": ["It", "'s", " ", "1", "9", "8", "4", " IN", "!!\n\n", " ", " x"],
}


@pytest.mark.parametrize("pre", SPLITS)
def test_each_kind_splits_a_text_in_its_way(pre: str) -> None:
    splitter = SPLITTINGS[pre].pre_tokenizer()
    assert [TEXT[a:b] for _, (a, b) in splitter.pre_tokenize_str(TEXT)] == SPLITS[pre]


@pytest.mark.parametrize(
    ("pre", "begins"), [("gpt-2", False), ("llama-bpe", True), ("smaug-bpe", False)]
)
def test_a_beginning_is_added_as_the_kind_or_the_file_says(pre: str, begins: bool) -> None:
    assert (byte_level(pre).encode("a")[0] == 0) is begins
    assert byte_level(pre, add_bos_token=not begins).encode("a")[0] == 0 or begins


def test_special_tokens_are_found_and_not_shown_and_a_users_are() -> None:
    tokenizer = byte_level("gpt-2")
    ids = tokenizer.encode("a<|end|>b<tool>c")
    assert pieces(tokenizer, "a<|end|>b<tool>c") == ["a", "<|end|>", "b", "<tool>", "c"]
    assert tokenizer.decode(ids) == "ab<tool>c"


def test_the_template_may_name_the_tokens_of_roles() -> None:
    tokenizer = byte_level("gpt-2", template=TEMPLATE)
    assert tokenizer.render_chat([ChatMessage("user", "Hi")]) == "<user>Hi<|end|>"
    with pytest.raises(BadInputError, match="no chat template"):
        byte_level("gpt-2").render_chat([])


@pytest.mark.parametrize("template", [7, "x" * (1 << 21)])
def test_a_template_that_is_none_is_told_when_it_is_used(template: object) -> None:
    tokenizer = byte_level("gpt-2", template=template)
    with pytest.raises(CheckpointError, match=r"tokenizer\.chat_template"):
        tokenizer.render_chat([])


REFUSED: dict[str, tuple[Callable[[], object], str]] = {
    "scores": (lambda: scored(scores=[1.0]), "`tokenizer.ggml.scores` must have a number"),
    "no number": (
        lambda: scored(scores=[float("nan")] * len(PIECES)),
        "has one that is no number",
    ),
    "a long piece": (
        lambda: scored(tokens=[*PIECES[:-1], "a" * 300]),
        "a piece of more than 256 characters",
    ),
    "a long token": (lambda: build(tokens=["a" * 5000]), "more than 4096 characters"),
    "no kind": (lambda: build(tokens=["a"]), "of the kind '' is not read"),
    "a space": (lambda: byte_level("gpt-2", add_space_prefix=True), "is not supported"),
    "no beginning": (
        lambda: build(model="gpt2", pre="gpt-2", tokens=ALPHABET, merges=[], add_bos_token=True),
        "but no bos_token",
    ),
    "more tokens than the model": (
        lambda: build(model="gpt2", pre="gpt-2", tokens=[str(n) for n in range(2001)]),
        "more than the model's vocabulary",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_tokenizer_is_refused_in_a_line(name: str) -> None:
    make, words = REFUSED[name]
    with pytest.raises(CheckpointError) as caught:
        make()
    assert words in str(caught.value)
    assert "m.gguf" in str(caught.value)
