"""The grid that charts paint on."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from prodtop.tui.drawing.canvas import HIGHLIGHT, INK_IDS, Canvas
from prodtop.tui.style.inks import Ink
from textual.geometry import Region

WIDTH, HEIGHT = 12, 3
writes = st.lists(
    st.tuples(
        st.integers(-15, 15),
        st.integers(-1, 4),
        st.text("ab ⣿─", max_size=20),
        st.sampled_from(Ink),
    ),
    max_size=8,
)


def painted(strokes: list[tuple[int, int, str, Ink]]) -> Canvas:
    canvas = Canvas.blank(WIDTH, HEIGHT)
    for x, y, text, ink in strokes:
        canvas.write(x, y, text, ink)
    return canvas


@given(writes)
def test_writing_never_leaves_the_canvas(strokes: list[tuple[int, int, str, Ink]]) -> None:
    canvas = painted(strokes)
    assert [len(canvas.row(y)) for y in range(HEIGHT)] == [WIDTH] * HEIGHT


@given(writes, writes)
def test_repainting_the_changed_spans_gives_the_new_canvas(
    before: list[tuple[int, int, str, Ink]], after: list[tuple[int, int, str, Ink]]
) -> None:
    old, new = painted(before), painted([*before, *after])
    regions = new.changed_since(old)
    shown, inks = old.characters.copy(), old.inks.copy()
    for region in regions:
        cells = region.y, slice(region.x, region.right)
        shown[cells], inks[cells] = new.characters[cells], new.inks[cells]
    assert (shown == new.characters).all()
    assert (inks == new.inks).all()
    assert sum(region.area for region in regions) <= WIDTH * HEIGHT


def test_changes_far_apart_are_repainted_apart() -> None:
    old = Canvas.blank(60, 2)
    new = Canvas.blank(60, 2)
    for x in (1, 4, 50):
        new.write(x, 1, "x", Ink.TEXT)
    assert new.changed_since(old) == [Region(1, 1, 4, 1), Region(50, 1, 1, 1)]


@given(writes)
def test_nothing_changed_means_nothing_to_repaint(strokes: list[tuple[int, int, str, Ink]]) -> None:
    assert painted(strokes).changed_since(painted(strokes)) == []


@given(writes)
def test_runs_say_the_same_as_the_cells(strokes: list[tuple[int, int, str, Ink]]) -> None:
    canvas = painted(strokes)
    for y in range(HEIGHT):
        runs = canvas.runs(y)
        assert "".join(text for text, _ in runs) == canvas.row(y)
        inks = np.repeat([ink for _, ink in runs], [len(text) for text, _ in runs])
        seen = canvas.characters[y] != ord(" ")
        assert (inks[seen] == canvas.inks[y][seen]).all()


def test_blank_cells_join_the_run_before_them_but_not_the_cursor() -> None:
    canvas = Canvas.blank(5, 1)
    canvas.write(0, 0, "a", Ink.OK)
    canvas.write(3, 0, "b", Ink.OK)
    assert canvas.runs(0) == [("a  b ", INK_IDS[Ink.OK])]
    canvas.inks[0, 1] |= HIGHLIGHT
    assert [text for text, _ in canvas.runs(0)] == ["a", " ", " ", "b "]
