"""The table of what was tried, and the dialog that shows it."""

import msgspec
import pytest
from frames import play, steady
from hypothesis import given, settings
from hypothesis import strategies as st
from prodtop.engine.protocol import (
    LoadSpec,
    Percentile,
    PrecisionName,
    SpeculationSpec,
    StrategyName,
    Summary,
)
from prodtop.engine.records.tried import Choice, Steadiness, Tried
from prodtop.tui.screens.dialogs import TriedScreen
from prodtop.tui.style.glyphs import ASCII, UNICODE, Glyphs
from prodtop.tui.style.inks import Ink
from prodtop.tui.views.tried import NOTHING_YET, tried_lines
from running_app import open_app


def tried(
    figures: Summary | None,
    strategy: StrategyName = StrategyName.HYBRID,
    users: int = 8,
    drafts: int = 0,
) -> Tried:
    return Tried(
        settings=Choice(
            strategy=strategy,
            precision=PrecisionName.BF16,
            load=LoadSpec(users=users),
            speculation=SpeculationSpec(drafts=drafts) if drafts else None,
        ),
        figures=figures,
    )


def with_ttft(value_ms: float, tok_s: float, *, growing: bool = False) -> Summary:
    ttft = Percentile(value_ms=value_ms, at_least=growing)
    return msgspec.structs.replace(steady(tok_s, growing=growing), ttft_p95=ttft)


def test_rows_stand_in_the_order_of_the_keys_with_their_figures() -> None:
    rows = [tried(steady(900.0), users=64), tried(steady(500.0)), tried(None, StrategyName.SINGLE)]
    head, single, few, many, *_ = (row.plain for row in tried_lines(rows, None, 120, UNICODE))
    assert head.split()[:4] == ["strategy", "precision", "load", "tok/s"]
    assert single.split()[:5] == ["single", "bf16", "8", "users", "--"]
    assert single.endswith("not settled")
    assert few.split()[:5] == ["hybrid", "bf16", "8", "users", "500"]
    assert many.split()[:5] == ["hybrid", "bf16", "64", "users", "900"]
    assert many.endswith("298  10 s  steady     ")


def test_the_best_of_the_steady_is_green_and_a_growing_queue_is_never() -> None:
    rows = [
        tried(with_ttft(90.0, 500.0)),
        tried(with_ttft(60.0, 700.0), users=16),
        tried(with_ttft(20.0, 900.0, growing=True), users=64),
    ]
    found = {
        piece.text.strip(): piece.ink
        for row in tried_lines(rows, None, 120, UNICODE)[1:4]
        for piece in row.pieces
    }
    assert (found["700"], found["500"], found["900"]) == (Ink.OK, Ink.TEXT, Ink.TEXT)
    assert (found["60 ms"], found["≥ 20 ms"]) == (Ink.OK, Ink.TEXT)
    assert found[Steadiness.FILLING] == Ink.WARN


@settings(deadline=None, max_examples=40)
@given(
    width=st.integers(70, 160),
    glyphs=st.sampled_from([UNICODE, ASCII]),
    rows=st.lists(
        st.builds(
            tried,
            st.sampled_from([None, steady(9e5), steady(3.0, growing=True)]),
            st.sampled_from(StrategyName),
            st.sampled_from([1, 1024]),
            st.sampled_from([0, 4]),
        ),
        max_size=12,
    ),
)
def test_no_row_is_wider_than_the_dialog(width: int, glyphs: Glyphs, rows: list[Tried]) -> None:
    lines = tried_lines(rows, None, width, glyphs)
    assert max(row.width for row in lines) <= width
    assert glyphs.unicode or all(row.plain.isascii() for row in lines)


@pytest.mark.parametrize("size", [(80, 24), (160, 48)])
async def test_c_opens_and_closes_the_table(size: tuple[int, int]) -> None:
    async with open_app(play(20), size=size) as running:
        await running.press("c")
        assert isinstance(running.app.screen, TriedScreen)
        text = running.text()
        for name in ("single", "continuous", "hybrid", "TTFT p95", "not settled"):
            assert name in text
        await running.press("c")
        assert not isinstance(running.app.screen, TriedScreen)


async def test_before_anything_ran_the_table_says_when_it_will() -> None:
    async with open_app() as running:
        await running.press("c")
        assert NOTHING_YET in running.text()
