"""Turn the corpus into what training reads: tokens, tokenizer, held-out text, facts.

    python -m tools.bundled_model.prepare CORPUS PREPARED

`CORPUS` holds `train.txt.xz`, `valid.txt` and `BOOKS.md` (one `- author/title` a line).
"""

import argparse
import json
import lzma
import re
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from .corpus import PARAGRAPH_BREAK, documents_of, read_books
from .vocabulary import encode_documents, train_tokenizer, write_tokenizer

HELD_OUT_CHARS = 100_000


@dataclass(frozen=True)
class CorpusFacts:
    """What the model card says about the data."""

    train_books: int
    train_authors: int
    train_documents: int
    train_chars: int
    train_tokens: int
    validation_books: tuple[str, ...]
    validation_chars: int
    validation_tokens: int
    raw_validation_chars: int
    prepare_s: float


@dataclass(frozen=True)
class Prepared:
    """The tokens that training reads, as rows of uint16 ids.

    `validation` is cleaned like the training text; `raw_validation` is the file as it came.
    """

    train: np.ndarray
    validation: np.ndarray
    raw_validation: np.ndarray
    facts: CorpusFacts


def prepare(corpus: Path, folder: Path) -> CorpusFacts:
    """Read `corpus`, write everything that training needs into `folder`."""
    began = time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    train = [text for book in read_books(corpus / "train.txt.xz") for text in documents_of(book)]
    raw_books = read_books(corpus / "valid.txt")
    books = [documents_of(book) for book in raw_books]
    validation = [text for documents in books for text in documents]

    tokenizer = train_tokenizer(train)
    write_tokenizer(tokenizer, folder)
    rows = {
        "train": encode_documents(tokenizer, train),
        "validation": encode_documents(tokenizer, validation),
        "raw_validation": encode_documents(tokenizer, raw_books),
    }
    for name, row in rows.items():
        (folder / f"{name}.tokens.xz").write_bytes(lzma.compress(row.tobytes(), preset=3))
    (folder / "heldout.txt").write_text(held_out_text(books), encoding="utf-8")

    listed = re.findall(r"^- ([^/\n]+)/", (corpus / "BOOKS.md").read_text("utf-8"), re.MULTILINE)
    facts = CorpusFacts(
        train_books=len(listed),
        train_authors=len(set(listed)),
        train_documents=len(train),
        train_chars=sum(map(len, train)),
        train_tokens=len(rows["train"]),
        validation_books=tuple(_title_of(book) for book in raw_books),
        validation_chars=sum(map(len, validation)),
        validation_tokens=len(rows["validation"]),
        raw_validation_chars=sum(map(len, raw_books)),
        prepare_s=round(time.monotonic() - began, 1),
    )
    (folder / "facts.json").write_text(json.dumps(asdict(facts), indent=2) + "\n", "utf-8")
    return facts


def load_prepared(folder: Path) -> Prepared:
    """Read back what `prepare` wrote."""
    facts = json.loads((folder / "facts.json").read_text("utf-8"))
    facts["validation_books"] = tuple(facts["validation_books"])
    return Prepared(
        train=_read_tokens(folder / "train.tokens.xz"),
        validation=_read_tokens(folder / "validation.tokens.xz"),
        raw_validation=_read_tokens(folder / "raw_validation.tokens.xz"),
        facts=CorpusFacts(**facts),
    )


def held_out_text(books: list[list[str]]) -> str:
    """Return the opening of each book, of equal length, cut between paragraphs."""
    share = HELD_OUT_CHARS // len(books)
    openings: list[str] = []
    for documents in books:
        taken: list[str] = []
        for paragraph in PARAGRAPH_BREAK.join(documents).split(PARAGRAPH_BREAK):
            if sum(len(text) + len(PARAGRAPH_BREAK) for text in taken) + len(paragraph) > share:
                break
            taken.append(paragraph)
        openings.append(PARAGRAPH_BREAK.join(taken))
    return PARAGRAPH_BREAK.join(openings) + "\n"


def _read_tokens(path: Path) -> np.ndarray:
    return np.frombuffer(lzma.decompress(path.read_bytes()), dtype=np.uint16)


def _title_of(book: str) -> str:
    """Return `title, by author` from the head of `book`."""
    title = re.search(r"^Title: (.+)$", book, re.MULTILINE)
    author = re.search(r"^Author: (.+)$", book, re.MULTILINE)
    if title is None or author is None:
        raise ValueError("a validation book has no title or author in its head")
    return f"{title[1].strip()}, by {author[1].strip()}"


def main() -> None:
    parser = argparse.ArgumentParser(description="Prepare the corpus for training.")
    parser.add_argument("corpus", type=Path)
    parser.add_argument("prepared", type=Path)
    arguments = parser.parse_args()
    facts = prepare(arguments.corpus, arguments.prepared)
    print(json.dumps(asdict(facts), indent=2))


if __name__ == "__main__":
    main()
