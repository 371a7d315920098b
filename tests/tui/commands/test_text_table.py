"""Tables of text: aligned, and with the columns that fit."""

from hypothesis import given
from hypothesis import strategies as st
from prodtop.tui.commands.text_table import GAP, aligned, fitting

ROWS = [["cell", "tok/s", "req/s", "state"], ["hybrid", "1,234", "5", "6× in all"]]
TABLES = st.integers(1, 6).flatmap(
    lambda columns: st.lists(
        st.lists(st.text("abc ", max_size=8), min_size=columns, max_size=columns),
        min_size=1,
        max_size=5,
    )
)


def test_figures_stand_to_the_right_and_words_to_the_left() -> None:
    assert aligned(ROWS) == [
        "cell    tok/s  req/s      state",
        "hybrid  1,234      5  6× in all",
    ]
    assert aligned(ROWS, last_left=True)[0] == "cell    tok/s  req/s  state"


def test_the_last_columns_between_go_first() -> None:
    assert fitting(ROWS, None) == (ROWS, [])
    kept, left_out = fitting(ROWS, 28)
    assert (kept[0], left_out) == (["cell", "tok/s", "state"], ["req/s"])
    kept, left_out = fitting(ROWS, 1)
    assert (kept[1], left_out) == (["hybrid", "6× in all"], ["tok/s", "req/s"])


@given(TABLES, st.integers(0, 60))
def test_what_is_left_fits_or_is_the_two_columns_at_the_ends(
    rows: list[list[str]], width: int
) -> None:
    kept, left_out = fitting(rows, width)
    assert len(kept[0]) + len(left_out) == len(rows[0])
    assert max(map(len, aligned(kept))) <= width or len(kept[0]) <= 2
    for row, before in zip(kept, rows, strict=True):
        assert (row[0], row[-1]) == (before[0], before[-1])


@given(TABLES)
def test_every_cell_begins_or_ends_where_its_column_does(rows: list[list[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    full = sum(widths) + len(GAP) * (len(widths) - 1)
    for line, row in zip(aligned(rows), rows, strict=True):
        padded = line.ljust(full)
        at = 0
        for index, (cell, width) in enumerate(zip(row, widths, strict=True)):
            place = padded[at : at + width]
            assert place == (cell.ljust(width) if index == 0 else cell.rjust(width))
            at += width + len(GAP)
