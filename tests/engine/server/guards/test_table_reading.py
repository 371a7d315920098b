"""Long texts are read by tables just as short ones are, character by character."""

import random
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, repeat

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prodtop.engine.server.guards.folding import FOLDED, PLAIN, SKELETON, CharTable
from prodtop.engine.server.guards.look_alikes import LEET
from prodtop.engine.server.guards.table_reading import LEAST_CHARS, TableReader, kept_places
from prodtop.engine.server.guards.view import View, read_signs

TABLES = (PLAIN, FOLDED, SKELETON)
CHARS = st.characters() | st.sampled_from(" \n\u200b\u0301\ud800éßﬁ한글ﷺàА\U0001f1e6\U000e0041")
TEXTS = st.text(CHARS, max_size=60)


def by_char(table: CharTable, text: str) -> tuple[str, list[int]]:
    """A reading and its origins, the slow way."""
    lengths = [len(table[ord(char)]) for char in text]
    return text.translate(table), list(chain.from_iterable(map(repeat, range(len(text)), lengths)))


@pytest.mark.parametrize("table", TABLES, ids=["plain", "folded", "skeleton"])
@given(text=TEXTS)
def test_a_text_is_read_as_character_by_character(table: CharTable, text: str) -> None:
    read, origins = by_char(table, text)
    found, places = TableReader(table).read(text) if text else ("", None)
    assert found == read
    assert (list(range(len(text))) if places is None else places.tolist()) == origins


@pytest.mark.parametrize("one_space", [False, True])
@pytest.mark.parametrize("table", TABLES, ids=["plain", "folded", "skeleton"])
@given(text=TEXTS, filler=st.sampled_from(["é ", "한  ", "a\u0301  x", "ы"]))
def test_every_place_of_a_long_view_leads_where_it_does_in_short_ones(
    table: CharTable, text: str, filler: str, *, one_space: bool
) -> None:
    long = text + filler * LEAST_CHARS
    view = View(long, table, one_space=one_space)
    read, origins = by_char(table, long)
    if one_space:
        kept = [n for n, char in enumerate(read) if char != " " or n == 0 or read[n - 1] != " "]
        assert kept_places(read).tolist() == kept
        read, origins = "".join(read[n] for n in kept), [origins[n] for n in kept]
    assert view.text == read
    assert [view.origin(place) for place in range(len(read))] == origins
    assert all(type(view.origin(place)) is int for place in range(len(read)))


def test_all_code_points_at_once_from_several_threads() -> None:
    codes = list(range(0x3000)) + list(range(0x1F100, 0x1F200)) + list(range(0xAC00, 0xAD00))
    draw = random.Random(1)
    texts = ["".join(map(chr, draw.sample(codes, 2000))) for _ in range(24)]
    reader = TableReader(SKELETON)
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(4) as threads:
            found = list(threads.map(reader.read, texts))
    finally:
        sys.setswitchinterval(before)
    assert [read for read, _ in found] == [text.translate(SKELETON) for text in texts]


@given(st.text(st.sampled_from("ab1$l!éж "), max_size=40))
def test_signs_are_read_as_a_table_would(text: str) -> None:
    table = {ord(sign): letter for sign, letter in LEET.items()}
    assert read_signs(text) == text.translate(table)
