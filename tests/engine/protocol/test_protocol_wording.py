"""Counted things in words, and that nothing counts without."""

import re
from pathlib import Path

import pytest
from prodtop.engine.protocol.wording import counted, plural

ROOT = Path(__file__).parents[3]
SOURCES = sorted(
    path
    for folder in ("tui", "engine/planner", "engine/protocol", "engine/shape")
    for path in (ROOT / folder).rglob("*.py")
)
CALL = re.compile(r"counted\([^\"']+[\"']([\w -]+)[\"']")


@pytest.mark.parametrize(
    ("number", "noun", "text"),
    [
        (1, "GPU", "1 GPU"),
        (0, "GPU", "0 GPUs"),
        (2, "GPU", "2 GPUs"),
        (1, "micro-batch", "1 micro-batch"),
        (3, "micro-batch", "3 micro-batches"),
    ],
)
def test_the_noun_follows_the_number(number: int, noun: str, text: str) -> None:
    assert counted(number, noun) == text


def test_thousands_are_parted_where_asked_for() -> None:
    assert counted(12_345, "token", grouped=True) == "12,345 tokens"


def test_no_text_writes_a_number_before_a_plural_of_its_own() -> None:
    """`{gpus} GPUs` says `1 GPUs` one day: what is counted anywhere is counted by the
    helper. A fraction (`{cores:.2f} cores`) and a constant (`{MOST}`) are no such number."""
    texts = {path: path.read_text(encoding="utf-8") for path in SOURCES}
    nouns = {noun for text in texts.values() for noun in CALL.findall(text)}
    assert {"GPU", "request", "sequence", "layer"} <= nouns
    plurals = "|".join(re.escape(plural(2, noun)) for noun in nouns)
    pattern = re.compile(rf"[^\n]*\{{[a-z][^{{}}:\n]*\}} (?:{plurals})\b[^\n]*")
    found = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path, text in texts.items()
        for line in pattern.findall(text)
    ]
    assert found == []
