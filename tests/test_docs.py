"""The manuals name what is there: every path, module and link in them exists."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted(
    [
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
        *(ROOT / "docs").glob("*.md"),
    ]
)
FOLDERS = ("engine", "tui", "themes", "tests", "benchmarks", "tools", "docs")

PATH = re.compile(rf"(?<![\w./-])(?:{'|'.join(FOLDERS)}|\.ci)/[\w./*-]*")
"""From the root of the repository."""
PYTHON_FILE = re.compile(r"(?<![\w$*./-])(?:[\w-]+/)*[\w-]+\.py\b")
"""A file that is named without its folder, or with the last of its folders."""
MODULE = re.compile(r"\bprodtop\.(?:engine|tui|themes)(?:\.\w+)*")
LINK = re.compile(r"\]\((?!https?://)([^)#\s]+)")

PLACEHOLDER = "NAME"
"""Stands for the name that a newcomer chooses."""
NOT_OURS = {"train.py", "pretrain_gpt.py"}
"""Files of a user or of a training engine."""


@cache
def files() -> tuple[str, ...]:
    """Every file of the tree, from its root."""
    return tuple(
        path.relative_to(ROOT).as_posix()
        for folder in (*FOLDERS, ".ci")
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    )


def references(document: Path) -> Iterator[tuple[str, bool]]:
    """What a document refers to in the tree, and whether it is there."""
    text = document.read_text(encoding="utf-8")
    for match in LINK.finditer(text):
        yield match[1], (document.parent / match[1]).exists()
    for match in PATH.finditer(text):
        name = match[0].rstrip(".")
        yield name, is_there(name)
    for match in PYTHON_FILE.finditer(text):
        if match[0] not in NOT_OURS and PLACEHOLDER not in match[0]:
            yield match[0], any(f"/{file}".endswith(f"/{match[0]}") for file in files())
    for match in MODULE.finditer(text):
        path = ROOT.joinpath(*match[0].split(".")[1:])
        yield match[0], path.is_dir() or path.with_suffix(".py").is_file()


def is_there(name: str) -> bool:
    """Whether a path from the root exists. Of a file yet to be written, its folder must."""
    if PLACEHOLDER in name:
        return (ROOT / name).parent.is_dir()
    return any(ROOT.glob(name)) if "*" in name else (ROOT / name).exists()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_what_a_document_names_is_there(document: Path) -> None:
    missing = sorted({name for name, there in references(document) if not there})
    assert not missing, f"{document.name} names what is not there: {', '.join(missing)}"


def test_a_missing_path_would_be_found(tmp_path: Path) -> None:
    document = tmp_path / "page.md"
    document.write_text(
        "`engine/serving/blocks.py` `engine/no_such.py`, `tui/no_such/`. `blocks.py` `no_such.py`"
        " `linear/linear.py` `linear/blocks.py` `python -m prodtop.engine.worker`"
        " `prodtop.engine.no_such` [here](page.md) [there](none.md) `tui/views/NAME.py`"
        " `themes/*.toml` `train.py` `$XDG_DATA_HOME/themes/mine.toml`\n"
    )
    assert {name for name, there in references(document) if not there} == {
        "engine/no_such.py",
        "tui/no_such/",
        "no_such.py",
        "linear/blocks.py",
        "prodtop.engine.no_such",
        "none.md",
    }


def test_the_newcomers_questions_have_their_file() -> None:
    """Each row of "Where is …" names at least one file."""
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = page.partition("## Where is …")[2].strip().splitlines()[2:]
    assert len(rows) >= 5
    assert all(PATH.search(row) for row in rows)
