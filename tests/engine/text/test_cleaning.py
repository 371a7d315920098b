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
        ("a\u200bb\u2066c\ufeffd\u00ade", "abcde"),
        ("a\tb", "a b"),
        ("a\x00b\x7fc", "abc"),
        ("a\ud800b\ue000c\U000e0001d", "abcd"),
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


@given(st.text(), st.booleans())
def test_nothing_is_left_that_is_not_text(text: str, keep_newlines: bool) -> None:
    shown = clean(text, keep_newlines=keep_newlines)
    left = shown.replace("\n", "") if keep_newlines else shown
    assert not {unicodedata.category(character)[0] for character in left} & {"C"}
    assert clean(shown, keep_newlines=keep_newlines) == shown


@given(st.lists(st.text()), st.booleans())
def test_pieces_are_cleaned_as_the_whole_is(pieces: list[str], keep_newlines: bool) -> None:
    """So that text may be cleaned as it streams."""
    whole = clean("".join(pieces), keep_newlines=keep_newlines)
    assert "".join(clean(piece, keep_newlines=keep_newlines) for piece in pieces) == whole


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"])))
def test_what_can_be_seen_is_unchanged(text: str) -> None:
    assert clean(text) == text
