"""Labels of marks: whole where they have room, never over one another or over another sign."""

from hypothesis import given
from hypothesis import strategies as st
from prodtop.tui.drawing.mark_labels import placed_labels
from prodtop.tui.style.glyphs import ASCII, UNICODE, Glyphs
from prodtop.tui.style.inks import Ink

MARKS = st.lists(
    st.tuples(st.integers(0, 79), st.text("abcdef", min_size=1, max_size=14), st.just(Ink.MARK)),
    max_size=8,
)


@given(MARKS, st.sampled_from([UNICODE, ASCII]))
def test_no_label_covers_another_or_leaves_the_row(
    marks: list[tuple[int, str, Ink]], glyphs: Glyphs
) -> None:
    taken: set[int] = set()
    for start, text, _ in placed_labels(marks, 80, glyphs):
        cells = set(range(start, start + len(text)))
        assert cells <= set(range(80))
        assert not cells & taken
        taken |= cells


@given(MARKS.filter(bool))
def test_the_newest_mark_is_named_whole_wherever_a_side_has_room(
    marks: list[tuple[int, str, Ink]],
) -> None:
    column = max(column for column, _, _ in marks)
    label = [label for at, label, _ in marks if at == column][-1]
    older = max((at for at, _, _ in marks if at < column), default=-2)
    first = placed_labels(marks, 80, UNICODE)[0][1]
    if len(label) <= max(79 - column, column - max(0, older + 2)):
        assert label in first
    assert UNICODE.mark in first


def test_a_label_without_room_on_the_right_stands_on_the_left() -> None:
    placed = placed_labels([(5, "batched", Ink.MARK), (60, "continuous", Ink.MARK)], 64, UNICODE)
    assert [text for _, text, _ in placed] == ["continuous▾", "▾batched"]


def test_signs_next_to_one_another_keep_what_fits() -> None:
    placed = placed_labels([(20, "batched", Ink.MARK), (24, "hybrid", Ink.MARK)], 64, UNICODE)
    assert [text for _, text, _ in placed] == ["▾hybrid", "batched▾"]
