"""Cut the text that int4 is calibrated on from the training text.

    python -m tools.bundled_model.calibration CORPUS FILE

`CORPUS` holds `train.txt.xz`. The excerpts begin and end where documents' paragraphs do, and lie at
equal distances, so that many authors are in them.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

from .corpus import PARAGRAPH_BREAK, documents_of, read_books

CALIBRATION_CHARS = 200_000
EXCERPT_CHARS = 2_000


def excerpts(documents: list[str], chars: int, excerpt_chars: int) -> Iterator[str]:
    """About `chars` characters in excerpts of about `excerpt_chars`, from documents at equal
    distances; of a shorter document all."""
    count = min(len(documents), -(-chars // excerpt_chars))
    for index in range(count):
        yield _opening(documents[index * len(documents) // count], excerpt_chars)


def _opening(document: str, chars: int) -> str:
    """Whole paragraphs from the middle of a document on: openings are alike."""
    paragraphs = document.split(PARAGRAPH_BREAK)
    kept: list[str] = []
    for paragraph in paragraphs[len(paragraphs) // 2 :]:
        kept.append(paragraph)
        if sum(map(len, kept)) >= chars:
            break
    return PARAGRAPH_BREAK.join(kept)[: 2 * chars]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("file", type=Path)
    arguments = parser.parse_args()
    books = read_books(arguments.corpus / "train.txt.xz")
    documents = [document for book in books for document in documents_of(book)]
    cut = excerpts(documents, CALIBRATION_CHARS, EXCERPT_CHARS)
    arguments.file.write_text(PARAGRAPH_BREAK.join(cut) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
