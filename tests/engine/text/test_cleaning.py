"""Text from outside, made safe for a terminal."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prodtop.engine.text.cleaning import clean


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text, with ümläuts and 日本語 🙂", "plain text, with ümläuts and 日本語 🙂"),
        ("\x1b[2J", "[2J"),
        ("\x1b]52;c;ZXZpbA==\x07", "]52;c;ZXZpbA=="),
        ("\x9b31mred\x9c", "31mred"),
        ("a\u202egnp.exe", "agnp.exe"),
        ("a\u202ab\u2066c\u2069d\u202ce", "abcde"),
        ("a\tb", "a b"),
        ("a\x00b\x7fc", "abc"),
        ("a\ud800b", "ab"),
        ("e\u0301", "e\u0301"),
        ("", ""),
    ],
)
def test_what_could_act_on_a_terminal_is_gone(text: str, shown: str) -> None:
    assert clean(text) == shown
    assert clean(text, keep_newlines=True) == shown


def test_a_label_stays_on_its_line() -> None:
    assert clean("a\nb\r\nc") == "a b c"
    assert len(clean("a\nb\r\nc\x0bd\x0ce\x85f\u2028g\u2029h\x1ci").splitlines()) == 1


def test_a_text_may_keep_its_newlines() -> None:
    assert clean("a\nb\r\nc\n", keep_newlines=True) == "a\nb\nc\n"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("\U0001f468\u200d\U0001f469\u200d\U0001f467", id="family, by joiners"),
        pytest.param("\U0001f3f3\ufe0f\u200d\U0001f308", id="rainbow flag"),
        pytest.param("\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e007f", id="tagged flag"),
        pytest.param("\U0001f44d\U0001f3fd 1\ufe0f\u20e3 \U0001f1ef\U0001f1f5", id="sequences"),
        pytest.param("\U0001fa77 \U0001fae8 \U0001fae9", id="emoji of Unicode 15 and 16"),
        pytest.param("\U00031350\U0003347f", id="ideographs of Unicode 15 and 17"),
        pytest.param("\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", id="Persian, non-joiner"),
        pytest.param("\u0915\u094d\u200d\u0937", id="Hindi, joiner"),
        pytest.param("a\u200bb co\u00adop \ufeffx \u2060", id="invisible but harmless"),
        pytest.param("\u05d0\u200f! \u200ea \u061c", id="marks of direction"),
        pytest.param("\ue0b0 \U000f0001", id="private use"),
    ],
)
def test_text_that_needs_more_than_letters_stays_whole(text: str) -> None:
    assert clean(text) == text


OVERRIDES = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


def test_of_all_characters_only_controls_and_overrides_go() -> None:
    """Python's tables name the overrides, and know controls of any Unicode version."""
    codes = [*range(0x3100), *range(0xD700, 0x10000), *range(0x1F000, 0x1FB00)]
    everything = "".join(map(chr, [*codes, *range(0xE0000, 0xE0200)]))
    gone = set(everything) - set(clean(everything, keep_newlines=True))
    assert gone == {
        character
        for character in everything
        if (unicodedata.category(character) in ("Cc", "Cs") and character != "\n")
        or unicodedata.bidirectional(character) in OVERRIDES
        or character in "\u2028\u2029"
    }


@given(st.text(), st.booleans())
def test_what_is_clean_stays_so(text: str, keep_newlines: bool) -> None:
    shown = clean(text, keep_newlines=keep_newlines)
    left = shown.replace("\n", "") if keep_newlines else shown
    assert not {unicodedata.category(character) for character in left} & {"Cc", "Cs"}
    assert clean(shown, keep_newlines=keep_newlines) == shown


@given(st.lists(st.text()), st.booleans())
def test_pieces_are_cleaned_as_the_whole_is(pieces: list[str], keep_newlines: bool) -> None:
    """So that text may be cleaned as it streams."""
    whole = clean("".join(pieces), keep_newlines=keep_newlines)
    assert "".join(clean(piece, keep_newlines=keep_newlines) for piece in pieces) == whole


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"])))
def test_what_can_be_seen_is_unchanged(text: str) -> None:
    assert clean(text) == text
