"""The edges of a panel's frame: the width holds, and the title stays."""

from hypothesis import given
from hypothesis import strategies as st
from prodtop.tui.drawing.frame import frame_top
from prodtop.tui.drawing.line import Line, Piece
from prodtop.tui.style.inks import PLAIN_PALETTE, Ink

texts = st.text("abc ", max_size=30).map(lambda text: Line.of(Piece(text, Ink.TITLE)))


@given(texts, texts, st.integers(min_value=0, max_value=60))
def test_the_upper_edge_has_the_width_whatever_is_in_it(
    title: Line, headline: Line, width: int
) -> None:
    assert frame_top(title, headline, width, PLAIN_PALETTE, Ink.BORDER).width == width


def test_the_headline_gives_way_before_the_title() -> None:
    title, headline = Line.of("Throughput"), Line.of("decode 22.9k tok/s")
    edge = frame_top(title, headline, 24, PLAIN_PALETTE, Ink.BORDER).plain
    assert "Throughput" in edge
    assert "decode" not in edge
