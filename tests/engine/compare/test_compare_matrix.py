"""The matrix: beside its baseline, sorted, filtered, and its cells by name."""

import pytest
from comparisons import around, cell, comparison, measured
from prodtop.engine.compare.cells import Cell, Measured, label
from prodtop.engine.compare.matrix import cell_labelled, filtered, matrix, sorted_rows
from prodtop.engine.compare.median import Verdict
from prodtop.engine.compare.metrics import METRICS
from prodtop.engine.protocol.errors import BadInputError

SINGLE, HYBRID, INT8 = cell("single"), cell("hybrid"), cell("hybrid", "int8")
TWICE = comparison(
    measured(SINGLE, around(50.0), 400.0),
    measured(HYBRID, around(100.0), 200.0),
    measured(INT8, around(100.3), 200.0),
    Measured(cell=cell("hybrid", "fp8"), skipped="no fp8"),
    Measured(cell=cell("cached"), failure="died"),
)
TOK_S, E2E = METRICS["output_tok_s"], METRICS["e2e_p95_ms"]


def test_every_cell_stands_beside_the_baseline() -> None:
    found = matrix(TWICE, [TOK_S, E2E], baseline=SINGLE)
    assert found.baseline == "single bf16"
    by_name = {row.label: row.entry("output_tok_s") for row in found.rows}
    hybrid, single, skipped = (
        by_name[name] for name in ("hybrid bf16", "single bf16", "hybrid fp8")
    )
    assert hybrid is not None
    assert hybrid.relative == pytest.approx(2.0)
    assert hybrid.verdict is Verdict.HIGHER
    assert single is not None
    assert (single.relative, single.verdict) == (1.0, Verdict.NO_DIFFERENCE)
    assert skipped is not None
    assert (skipped.median, skipped.relative, skipped.verdict) == (None, None, None)


def test_without_a_baseline_nothing_is_relative() -> None:
    for row in matrix(TWICE, [TOK_S]).rows:
        assert [entry.relative for entry in row.entries] == [None]


def test_rows_are_sorted_by_the_direction_of_the_metric_and_the_missing_are_last() -> None:
    rows = matrix(TWICE, [TOK_S, E2E]).rows
    names = [row.label for row in sorted_rows(rows, TOK_S)]
    assert names == ["hybrid int8", "hybrid bf16", "single bf16", "hybrid fp8", "cached bf16"]
    names = [row.label for row in sorted_rows(rows, E2E)]
    assert names == ["hybrid bf16", "hybrid int8", "single bf16", "hybrid fp8", "cached bf16"]
    names = [row.label for row in sorted_rows(rows, TOK_S, worst_first=True)]
    assert names == ["single bf16", "hybrid bf16", "hybrid int8", "hybrid fp8", "cached bf16"]


def test_a_filter_wants_all_words() -> None:
    rows = matrix(TWICE, [TOK_S]).rows
    assert [row.label for row in filtered(rows, "hybrid")] == [
        "hybrid bf16", "hybrid int8", "hybrid fp8",
    ]  # fmt: skip
    assert [row.label for row in filtered(rows, "INT8 hyb")] == ["hybrid int8"]
    assert filtered(rows, "") == rows


def test_a_label_says_what_sets_a_cell_apart() -> None:
    many = [cell(users=1), cell(users=4), cell(users=4, max_seqs=8), cell(users=4, drafts=0)]
    assert [label(each, many) for each in many] == [
        "hybrid bf16 1 user",
        "hybrid bf16 4 users",
        "hybrid bf16 4 users max-seqs 8",
        "hybrid bf16 4 users drafts 0",
    ]
    assert label(cell(users=4), [cell(users=4)]) == "hybrid bf16"


@pytest.mark.parametrize(
    ("words", "expected"),
    [("single", SINGLE), ("hybrid int8", INT8), ("int8", INT8), ("bf16 HYBRID", HYBRID)],
)
def test_a_cell_is_found_by_its_words(words: str, expected: Cell) -> None:
    assert cell_labelled(TWICE, words).cell == expected


def test_of_users_1_and_16_the_1_is_found() -> None:
    found = comparison(*(measured(cell(users=users), [1.0]) for users in (1, 16)))
    assert cell_labelled(found, "hybrid 1").cell.load.users == 1
    assert cell_labelled(found, "16").cell.load.users == 16


@pytest.mark.parametrize(("words", "says"), [("hybrid", "several"), ("", "no cell"), ("x", "no")])
def test_a_name_that_is_none_or_several_says_so(words: str, says: str) -> None:
    with pytest.raises(BadInputError, match=says):
        cell_labelled(TWICE, words)
