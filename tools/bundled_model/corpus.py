"""Books as plain text, cleaned into documents: one chapter a document.

The source holds books separated by form feeds, each with a head (title, author, year) that a rule
of hyphens ends. What a reader would not read aloud goes: the head, chapter headings, ornaments,
footnote marks, passages in other scripts. What is left is prose and verse.
"""

import html
import lzma
import re
import unicodedata
from pathlib import Path

BOOK_SEPARATOR = "\f"
PARAGRAPH_BREAK = "\n\n"
SHORTEST_DOCUMENT_CHARS = 400
"""A shorter chapter is joined to the next: it is a motto or an inscription, not a chapter."""

_LONGEST_HEADING_CHARS = 120
_WRAPPED_LINE_CHARS = 50
_CHARACTERS = str.maketrans(
    {
        "\u2018": "'",
        "\u2019": "'",
        "\u201c": '"',
        "\u201d": '"',
        "`": "'",
        "\u2013": "-",
        "\u2014": "--",
        "\u2026": "...",
        "\u00a0": " ",
        "\u017f": "s",
        "\u200b": None,
        "\ufeff": None,
        "_": None,
    }
)
_REMOVED = re.compile(r"\[Illustration[^\]]*\]|\[\d+\]|\[Footnote[^\]]*\]")
_SPACED_DASH = re.compile(r" +--? +")
_HYPHEN_AT_LINE_END = re.compile(r"(?<=\w)-\n(?=\w)")
_LONG_DASH = re.compile(r"-{3,}")
_BOOK_HEAD = re.compile(r"\A\s*Title:.*?^-{5,}\s*$", re.DOTALL | re.MULTILINE)
_NUMBERED_HEADING = re.compile(
    r"(chapter|book|part|volume|vol\.|scene|act|canto|stave|letter|section)\s+"
    r"(the\s+)?([ivxlcdm]+|\d+|first|second|third|fourth|last|one|two|three|four|five|six|seven"
    r"|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen"
    r"|nineteen|(twenty|thirty|forty)(-\w+)?)\b(?!')",
    re.IGNORECASE,
)
_SMALL_CAPS_OPENING = re.compile(r"\A([\"']?)([A-Z])([A-Z]+)(?=,? (?:[a-z]|I\b))")


def read_books(path: Path) -> list[str]:
    """Return the books of a text file, which may be compressed (`.xz`); line ends become `\\n`."""
    raw = path.read_bytes()
    text = (lzma.decompress(raw) if path.suffix == ".xz" else raw).decode("utf-8")
    text = text.replace("\r\n", "\n")
    return [book for book in text.split(BOOK_SEPARATOR) if book.strip()]


def documents_of(book: str) -> list[str]:
    """Return the cleaned chapters of `book`, in order; paragraphs are a blank line apart."""
    chapters: list[list[str]] = [[]]
    after_heading = False
    for block in re.split(r"\n[ \t]*\n", clean_characters(_BOOK_HEAD.sub("", book))):
        paragraph = unwrap(block)
        if not any(character.isalnum() for character in paragraph) or not _is_latin(paragraph):
            continue
        if is_heading(paragraph):
            after_heading = True
            if sum(map(len, chapters[-1])) >= SHORTEST_DOCUMENT_CHARS:
                chapters.append([])
            continue
        if after_heading and _is_bare_title(paragraph):
            continue
        after_heading = False
        chapters[-1].append(paragraph if chapters[-1] else _open_in_lower_case(paragraph))
    return [PARAGRAPH_BREAK.join(paragraphs) for paragraphs in chapters if paragraphs]


def clean_characters(text: str) -> str:
    """Return `text` with straight quotes, `--` for dashes, and single spaces."""
    text = unicodedata.normalize("NFC", html.unescape(text)).translate(_CHARACTERS)
    text = _LONG_DASH.sub("----", _SPACED_DASH.sub("--", _REMOVED.sub("", text)))
    return re.sub(r"[ \t]+", " ", text)


def unwrap(block: str) -> str:
    """Return one paragraph without the line ends that only wrap it; verse keeps its lines.

    A block is prose when all its lines but the last are long, or when many of its lines go on in
    lower case.
    """
    lines = [line.strip() for line in block.strip().split("\n") if line.strip()]
    if len(lines) < 2:
        return "".join(lines)
    continued = sum(line[0].islower() for line in lines[1:]) / (len(lines) - 1)
    long_lines = all(len(line) >= _WRAPPED_LINE_CHARS for line in lines[:-1])
    if not long_lines and continued < 0.4:
        return "\n".join(lines)
    return _HYPHEN_AT_LINE_END.sub("-", "\n".join(lines)).replace("\n", " ")


def is_heading(paragraph: str) -> bool:
    """Whether `paragraph` is a chapter's number or title rather than text."""
    if len(paragraph) > _LONGEST_HEADING_CHARS:
        return False
    if _NUMBERED_HEADING.match(paragraph):
        return not paragraph.rstrip().endswith((",", ";", '"')) and paragraph.count(". ") < 3
    spoken = paragraph.startswith(('"', "'")) or paragraph.endswith(("!", "?", '"', ","))
    return paragraph == paragraph.upper() and not spoken


def _is_bare_title(paragraph: str) -> bool:
    """Whether a paragraph that follows a heading is the chapter's title: short and unpunctuated."""
    return "\n" not in paragraph and len(paragraph) < 70 and paragraph[-1].isalnum()


def _is_latin(paragraph: str) -> bool:
    letters = [character for character in paragraph if character.isalpha()]
    foreign = sum(1 for character in letters if ord(character) > 0x24F)
    return foreign <= len(letters) // 20


def _open_in_lower_case(paragraph: str) -> str:
    """Undo the small capitals of a chapter's first word: `IN the year` becomes `In the year`."""
    return _SMALL_CAPS_OPENING.sub(
        lambda match: match[1] + match[2] + match[3].lower(),
        paragraph,
    )
