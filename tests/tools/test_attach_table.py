"""The manual's tables of what is read of other engines are those of the program."""

from tools.attach_table import KINDS, MANUAL, renewed, tables


def test_the_manual_has_the_tables_as_they_are() -> None:
    page = MANUAL.read_text()
    assert renewed(page) == page, "run: python -m tools.attach_table"


def test_every_engine_has_its_own() -> None:
    for kind in KINDS:
        assert f"### {kind}\n" in tables()
