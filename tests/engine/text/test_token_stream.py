"""Streamed text beside one whole decode by `tokenizers`, for every kind of decoder."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prodtop.engine.text.cleaning import clean
from prodtop.engine.text.token_stream import StreamDecoder
from tokenizers import Regex, Tokenizer, decoders
from vocabularies import byte_fallback, byte_level, llama_2

D = decoders
TOKENIZERS: dict[str, Callable[[], Tokenizer]] = {
    "byte level": byte_level,
    "llama 2": byte_fallback,
    "gemma": lambda: byte_fallback(D.Sequence([D.Replace("▁", " "), D.ByteFallback(), D.Fuse()])),
    "metaspace": lambda: byte_fallback(D.Metaspace()),
    "metaspace without prefix": lambda: byte_fallback(D.Metaspace(prepend_scheme="never")),
    "bytes, then metaspace": lambda: byte_fallback(D.Sequence([D.ByteFallback(), D.Metaspace()])),
    "several spaces stripped": lambda: byte_fallback(
        D.Sequence([D.Replace("▁", " "), D.ByteFallback(), D.Fuse(), D.Strip(" ", 3, 0)])
    ),
    "each token stripped": lambda: byte_fallback(
        D.Sequence([D.Replace("▁", " "), D.Strip(" ", 2, 0), D.ByteFallback()])
    ),
    "replaced in the fused text": lambda: byte_fallback(
        D.Sequence([D.ByteFallback(), D.Fuse(), D.Replace("▁", "_ _")])
    ),
    "chains in a chain": lambda: byte_fallback(
        D.Sequence([D.Sequence([D.Replace("▁", " "), D.ByteFallback()]), D.Sequence([D.Fuse()])])
    ),
    "word ends": lambda: byte_fallback(D.BPEDecoder()),
}
HELD: dict[str, Callable[[], Tokenizer]] = {
    "word pieces": lambda: byte_fallback(D.WordPiece()),
    "repeats dropped": lambda: byte_fallback(D.CTC()),
    "by a pattern": lambda: byte_fallback(D.Replace(Regex("a+"), "b")),
    "long text replaced in the fused one": lambda: byte_fallback(
        D.Sequence([D.Fuse(), D.Replace("▁▁", "_")])
    ),
}


def whole_text(tokenizer: Tokenizer, ids: list[int]) -> str:
    return clean(tokenizer.decode(ids, skip_special_tokens=True), keep_newlines=True)


def id_of(tokenizer: Tokenizer, text: str) -> int:
    token_id = tokenizer.token_to_id(text)
    assert token_id is not None
    return token_id


def stream_decoder(tokenizer: Tokenizer) -> StreamDecoder:
    return StreamDecoder(tokenizer, lambda ids: whole_text(tokenizer, ids))


@pytest.mark.parametrize("name", [*TOKENIZERS, *HELD, "none"])
def test_streamed_text_is_the_whole_text(name: str) -> None:
    if name == "none":
        tokenizer = byte_fallback()
        tokenizer.decoder = None
    else:
        tokenizer = (TOKENIZERS | HELD)[name]()
    streams = stream_decoder(tokenizer)
    size = tokenizer.get_vocab_size()
    # Ids past the last token, and pieces that meet each other at edges, often.
    edges = ["▁", "▁▁", "▁▁▁", "<0x0A>", "<0x20>", "<0xE4>", "<0xF0>", "<0x9F>", "<0x98>", "<0xBA>"]
    edges += ["ð", "Ł", "ĺ", "º", "Ċ", "Ġ", "<s>", "<|end|>", "💡", "a", "a</w>", "<0xe4>"]
    common = [n for text in edges if (n := tokenizer.token_to_id(text)) is not None]
    token = st.one_of(st.sampled_from(common), st.integers(0, size + 2))

    @settings(deadline=None, max_examples=60, database=None)
    @given(ids=st.lists(token, max_size=14))
    def check(ids: list[int]) -> None:
        stream = streams.stream()
        pieces = [stream.push(token_id) for token_id in ids]
        assert "".join(pieces) + stream.flush() == whole_text(tokenizer, ids)
        assert stream.flush() == ""
        if name in HELD:
            assert not any(pieces)
            return
        raw = streams.stream(raw=True)
        exact = tokenizer.decode(ids, skip_special_tokens=True)
        assert "".join(map(raw.push, ids)) + raw.flush() == exact

    check()


@pytest.mark.parametrize("name", [*TOKENIZERS, "none"])
def test_the_bytes_of_single_tokens_make_up_the_text(name: str) -> None:
    tokenizer = byte_fallback() if name == "none" else TOKENIZERS[name]()
    if name == "none":
        tokenizer.decoder = None
    streams = stream_decoder(tokenizer)
    plain = [n for n in range(tokenizer.get_vocab_size()) if n > 2]
    start = id_of(tokenizer, "x")

    @settings(deadline=None, max_examples=60, database=None)
    @given(ids=st.lists(st.sampled_from(plain), max_size=14))
    def check(ids: list[int]) -> None:
        # Within a text: some decoders treat its start and its end in their own way.
        after = tokenizer.decode([start, start]).removeprefix("x")
        whole = tokenizer.decode([start, *ids, start]).removesuffix(after)
        data = b"".join(map(streams.token_bytes, ids))
        if "\ufffd" not in whole:
            assert data.decode() == whole.removeprefix("x")

    check()


def test_a_special_token_is_named_by_its_bytes() -> None:
    for tokenizer, name in ((byte_level(), "<|end|>"), (byte_fallback(), "<s>")):
        token_id = id_of(tokenizer, name)
        assert stream_decoder(tokenizer).token_bytes(token_id) == name.encode()
    assert stream_decoder(byte_fallback()).token_bytes(99_999) == b""
    byte = id_of(byte_fallback(), "<0xE4>")
    assert stream_decoder(byte_fallback()).token_bytes(byte) == b"\xe4"


def push_all(tokenizer: Tokenizer, *texts: str) -> list[str]:
    stream = stream_decoder(tokenizer).stream()
    ids = [n for text in texts if (n := tokenizer.token_to_id(text)) is not None]
    pieces = [stream.push(token_id) for token_id in ids]
    return [*pieces, stream.flush()]


def test_a_run_of_bytes_that_is_no_text_is_replaced_as_a_whole() -> None:
    pieces = push_all(byte_fallback(), "a", "<0x0A>", "<0xE4>", "b")
    assert pieces == ["a", "", "", "\ufffd\ufffdb", ""]


def test_a_run_of_bytes_that_the_end_cuts_is_replaced_as_a_whole() -> None:
    assert push_all(byte_fallback(), "a", "<0x0A>", "<0xE4>") == ["a", "", "", "\ufffd\ufffd"]


def test_a_newline_that_is_a_byte_comes_with_the_next_token() -> None:
    assert push_all(byte_fallback(), "a", "<0x0A>", "b", ".") == ["a", "", "\nb", ".", ""]


def test_special_tokens_do_not_end_a_run_of_bytes() -> None:
    pieces = push_all(byte_fallback(llama_2()), "<0xC3>", "<s>", "<0xA9>", "b")
    assert pieces == ["", "", "", "éb", ""]


def test_a_byte_level_text_waits_for_a_character_alone() -> None:
    assert push_all(byte_level(), "Ċ", "ð", "Ł", "ĺ", "º", "a") == ["\n", "", "", "", "😺", "a", ""]
    assert push_all(byte_level(), "ð", "a") == ["", "\ufffda", ""]
