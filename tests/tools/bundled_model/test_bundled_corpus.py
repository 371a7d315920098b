"""How books become documents."""

import lzma
import re
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tools.bundled_model.calibration import excerpts
from tools.bundled_model.corpus import (
    PARAGRAPH_BREAK,
    clean_characters,
    documents_of,
    is_heading,
    read_books,
    unwrap,
)


def test_a_book_becomes_its_chapters() -> None:
    book = (
        "Title: A Tale\n\nAuthor: Nobody\n\nYear: 1880\n\n-------\n\nCHAPTER I. THE START\n\n"
        "Of Beginnings\n\nIN the year 1878 it began. " + "He walked on. " * 40 + "\n\n* * *\n\n"
        "\u201cCome,\u201d said she\u2014quickly.\n\nCHAPTER II\n\nIt ended. "
        + "She slept. " * 50
        + "\n\nTHE END\n"
    )
    first, second = documents_of(book)
    assert first.startswith("In the year 1878 it began. He walked on.")
    assert first.endswith('\n\n"Come," said she--quickly.')
    assert second.startswith("It ended. She slept.")
    assert "END" not in second


@pytest.mark.parametrize(
    ("block", "paragraph"),
    [
        ("  one line \n", "one line"),
        ("the line was wrapped\nin the middle of\nthe sentence", None),
        ("The sun was shining on the sea,\nShining with all his might:", "keep"),
        ("a store-\nroom and\nthe rest", "a store-room and the rest"),
        ("A" * 60 + "\n" + "Bs follow", "A" * 60 + " Bs follow"),
    ],
)
def test_wrapped_prose_is_joined_and_verse_is_kept(block: str, paragraph: str | None) -> None:
    expected = {None: block.replace("\n", " "), "keep": block}.get(paragraph, paragraph)
    assert unwrap(block) == expected


@pytest.mark.parametrize(
    "text", ["CHAPTER I", "Chapter 12. A Walk", "XIV", "THE END", "BOOK THE FIRST", "12"]
)
def test_headings_are_known(text: str) -> None:
    assert is_heading(text)


@pytest.mark.parametrize(
    "text",
    [
        '"NO!"',
        "FIRE!",
        "Part of the crew went ashore.",
        "I saw him.",
        "Chapter and verse, he said.",
    ],
)
def test_text_is_not_taken_for_a_heading(text: str) -> None:
    assert not is_heading(text)


PRINTERS_MARKS = "\u2018\u2019\u201c\u201d`\u2013\u2014\u2026\u00a0\u017f\u200b\ufeff_\t"


@given(
    text=st.text(st.sampled_from(PRINTERS_MARKS + " -") | st.characters(exclude_categories=["Cs"]))
)
@settings(deadline=None)
def test_cleaned_text_has_one_kind_of_quote_dash_and_space(text: str) -> None:
    cleaned = clean_characters(text)
    assert not set(cleaned) & set(PRINTERS_MARKS)
    assert "  " not in cleaned
    assert {len(dashes) for dashes in re.findall("-+", cleaned)} <= {1, 2, 4}


def test_books_are_read_compressed_or_not(tmp_path: Path) -> None:
    raw = b"One.\r\nMore.\fTwo.\f\n"
    (tmp_path / "books.txt").write_bytes(raw)
    (tmp_path / "books.txt.xz").write_bytes(lzma.compress(raw))
    assert read_books(tmp_path / "books.txt") == ["One.\nMore.", "Two."]
    assert read_books(tmp_path / "books.txt.xz") == ["One.\nMore.", "Two."]


# The text that int4 is calibrated on


@given(st.integers(1, 40), st.integers(1, 2000), st.integers(20, 400))
def test_excerpts_are_whole_paragraphs_of_documents_at_equal_distances(
    count: int, chars: int, excerpt_chars: int
) -> None:
    paragraphs = [[f"{index}:{part}" * 3 for part in range(8)] for index in range(count)]
    documents = [PARAGRAPH_BREAK.join(parts) for parts in paragraphs]
    cut = [*excerpts(documents, chars, excerpt_chars)]
    assert len(cut) == min(count, -(-chars // excerpt_chars))
    sources = [int(text.split(":")[0]) for text in cut]
    gaps = {later - earlier for earlier, later in pairwise(sources)}
    assert gaps <= {count // len(cut), -(-count // len(cut))}
    for source, text in zip(sources, cut, strict=True):
        assert len(text) <= 2 * excerpt_chars
        kept = text.split(PARAGRAPH_BREAK)
        assert kept[:-1] == paragraphs[source][4:][: len(kept) - 1]
        assert paragraphs[source][4:][len(kept) - 1].startswith(kept[-1])
