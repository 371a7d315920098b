"""What the Compare tab's panels say: that it fits, in ASCII too, and what signs mean."""

from functools import cache

import msgspec
import pytest
from compare_samples import TOK_S, answer
from frames import frame, steady
from prodtop.engine.compare.samples import Limits
from prodtop.engine.protocol import BenchSpec, CellResult, LoadSpec, PrecisionName, StrategyName
from prodtop.engine.records.tried import Choice, Tried
from prodtop.tui.drawing.line import Line
from prodtop.tui.state.compare import Compare, asked
from prodtop.tui.state.compare_table import SHOWN, Spot, Table, spot_of, table
from prodtop.tui.state.stage import Stage
from prodtop.tui.style.glyphs import ASCII, UNICODE, Glyphs
from prodtop.tui.style.inks import Ink
from prodtop.tui.views.compare.cell import PURPOSE, cell_view
from prodtop.tui.views.compare.findings import bars_view, findings_view
from prodtop.tui.views.compare.matrix import matrix_view
from prodtop.tui.views.panel import Room, RowsView

HYBRID, SINGLE = StrategyName.HYBRID, StrategyName.SINGLE
BF16, INT8, FP32 = PrecisionName.BF16, PrecisionName.INT8, PrecisionName.FP32
LIMITS = Limits(ttft_ms=2000.0, tpot_ms=200.0)
WIDTHS = (56, 76, 96, 116, 156)


@cache
def compared(repeats: int = 6) -> Compare:
    """bf16 and int8 measured, fp16 failed, the rest not yet; hybrid was served live at fp32."""
    wanted = asked(frame())
    cells = []
    for each in wanted.cells:
        spec = BenchSpec(
            strategies=[each.cell.strategy],
            precisions=[each.cell.precision],
            requests=32,
            load=each.cell.load,
        )
        found = [report for n in range(repeats) for report in answer(spec, n)]
        results = [report for report in found if isinstance(report, CellResult)]
        if each.cell.precision in (BF16, INT8):
            cells.append(msgspec.structs.replace(each, repeats=results))
        elif each.cell.precision is PrecisionName.FP16:
            cells.append(msgspec.structs.replace(each, failure="the worker died: killed"))
        else:
            cells.append(each)
    choice = Choice(strategy=HYBRID, precision=FP32, load=LoadSpec(users=32))
    live = (Tried(settings=choice, figures=steady(5_000.0, growing=True)),)
    comparison = msgspec.structs.replace(wanted, cells=cells)
    return Compare(Stage.DONE, comparison, ended="all cells were measured", live=live)


def of(metric: str, *, baseline: bool = False, compare: Compare | None = None) -> Table:
    base = (HYBRID, BF16) if baseline else None
    return table(compare or compared(), frame(), metric, LIMITS, base)


def lines(view: RowsView) -> list[Line]:
    return [view.title, *view.head, *(row.line for row in view.rows), *view.foot]


def views(room: Room, metric: str, *, baseline: bool) -> list[RowsView]:
    shown = of(metric, baseline=baseline)
    place = (HYBRID, INT8)

    def by(name: str) -> Spot:
        return spot_of(compared(), place, name, LIMITS, shown.baseline)

    return [
        matrix_view(compared(), shown, (5, 3), room, "b"),
        cell_view(compared(), shown.spots[place], by, room, "b"),
        bars_view(compared().comparison, room),
        findings_view(compared().comparison, LIMITS, room),
    ]


@pytest.mark.parametrize("baseline", [False, True])
@pytest.mark.parametrize("glyphs", [UNICODE, ASCII])
@pytest.mark.parametrize("width", WIDTHS)
def test_everything_fits_and_is_ascii_where_that_is_asked(
    width: int, glyphs: Glyphs, baseline: bool
) -> None:
    for metric in SHOWN[::3]:
        for view in views(Room(width, 20, glyphs), metric, baseline=baseline):
            for each in lines(view):
                assert each.width <= width, each.plain
                assert glyphs.unicode or each.plain.isascii(), each.plain
            assert glyphs.unicode or view.figures.plain.isascii(), view.figures.plain


def row(strategy: StrategyName, table_: Table, width: int = 116) -> Line:
    view = matrix_view(compared(), table_, (0, 0), Room(width, 20, UNICODE), "b")
    return view.rows[list(StrategyName).index(strategy)].line


def test_each_state_of_a_cell_has_its_sign() -> None:
    text = row(HYBRID, of("output_tok_s")).plain.split()
    assert text[:3] == ["hybrid", "~5.00k", "\u2588"]
    assert text[4:] == ["\u00b10.99%", "FAILED", "\u2588", "29,949", "\u00b10.99%", "--", "skip"]


def test_what_is_only_known_from_below_says_so() -> None:
    assert "~>1.28k" in row(HYBRID, of("e2e_p95_ms")).plain


def test_the_worst_and_the_best_differ_in_sign_and_in_colour() -> None:
    found = {}
    for strategy in (SINGLE, HYBRID):
        pieces = row(strategy, of("output_tok_s")).pieces
        found[strategy] = next(piece for piece in pieces if str(piece.text)[:1] in UNICODE.shades)
    assert found[SINGLE].ink is Ink.BAD
    assert found[HYBRID].ink is Ink.OK
    assert found[SINGLE].text[0] != found[HYBRID].text[0]


def test_few_repeats_mark_every_factor_as_undecided() -> None:
    shown = of("output_tok_s", baseline=True, compare=compared(2))
    text = matrix_view(compared(2), shown, (0, 0), Room(116, 20, UNICODE), "b")
    assert text.rows[5].line.plain.count("?") == 2
    assert "? too few repeats" in text.foot[-1].plain


def test_before_anything_was_measured_the_key_is_said() -> None:
    empty = Compare()
    for key, words in (("b", "b measures"), ("", "'measure' in the palette measures")):
        view = matrix_view(empty, of("mbu", compare=empty), (0, 0), Room(76, 20, UNICODE), key)
        assert words in view.foot[-1].plain
        assert "not measured" in view.figures.plain


def test_every_strategy_says_what_it_is_for() -> None:
    assert set(PURPOSE) == set(StrategyName) == set(TOK_S)
    assert len(set(PURPOSE.values())) == len(PURPOSE)
