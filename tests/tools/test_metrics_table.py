"""The manual's table of exported metrics is the program's."""

import pytest

from tools.metrics_table import MANUAL, renewed


def test_the_manual_has_the_table_as_it_is_now() -> None:
    page = MANUAL.read_text(encoding="utf-8")
    assert renewed(page) == page, "run: python -m tools.metrics_table"


def test_a_manual_without_its_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="marks"):
        renewed("# Metrics\n")
