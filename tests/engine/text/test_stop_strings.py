"""Stop strings that arrive in pieces."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prodtop.engine.protocol.errors import BadInputError
from prodtop.engine.text.stop_strings import FilteredText, StopStringFilter


def test_text_that_might_become_a_stop_string_is_held_back() -> None:
    stops = StopStringFilter(["END"])
    assert stops.push("abcE") == FilteredText("ab")
    assert stops.push("x") == FilteredText("c")
    assert stops.flush() == "Ex"
    assert stops.flush() == ""


def test_a_stop_string_in_pieces_is_found_and_not_shown() -> None:
    stops = StopStringFilter(["END"])
    pieces = [stops.push(piece) for piece in ("one E", "N", "D two")]
    assert "".join(piece.text for piece in pieces) == "one "
    assert [piece.stopped for piece in pieces] == [False, False, True]


def test_after_a_stop_string_nothing_passes() -> None:
    stops = StopStringFilter(["."])
    stops.push("a.b")
    assert stops.push("c.d") == FilteredText("", stopped=True)
    assert stops.flush() == ""


def test_without_stop_strings_all_text_passes_at_once() -> None:
    stops = StopStringFilter([])
    assert stops.push("anything") == FilteredText("anything")
    assert stops.flush() == ""


def test_the_stop_string_that_is_complete_first_wins() -> None:
    assert StopStringFilter(["abcd", "bc"]).push("xabcd") == FilteredText("xa", stopped=True)


def test_of_two_that_end_together_the_longer_wins() -> None:
    assert StopStringFilter(["bc", "abc"]).push("xabc") == FilteredText("x", stopped=True)


def test_an_empty_stop_string_is_refused() -> None:
    with pytest.raises(BadInputError, match="a stop string is empty"):
        StopStringFilter(["end", ""])


@settings(deadline=None)
@given(
    pieces=st.lists(st.text("abc", max_size=5), max_size=10),
    stop_strings=st.lists(st.text("abc", min_size=1, max_size=4), max_size=3),
)
def test_what_passes_does_not_depend_on_the_pieces(
    pieces: list[str], stop_strings: list[str]
) -> None:
    """The oracle reads the whole text, one character after the other."""
    text = "".join(pieces)
    expected = next(
        (
            min(read.removesuffix(stop) for stop in stop_strings if read.endswith(stop))
            for end in range(1, len(text) + 1)
            if (read := text[:end]).endswith(tuple(stop_strings))
        ),
        text,
    )
    stops = StopStringFilter(stop_strings)
    received = shown = ""
    for piece in pieces:
        received += piece
        filtered = stops.push(piece)
        shown += filtered.text
        held = max(map(len, stop_strings), default=1) - 1
        assert filtered.stopped or len(shown) == max(len(received) - held, 0)
    assert shown + stops.flush() == expected
