"""The chart widget in an app: what it shows at which size, and how little it repaints."""

import re

import numpy as np
from chart_samples import CLOCK_SETTINGS, NOW_S, wave
from prodtop.tui.drawing.chart_data import (
    ChartSettings,
    Series,
    Threshold,
)
from prodtop.tui.drawing.timebase import Floats
from prodtop.tui.style.formatting import MILLISECONDS
from prodtop.tui.style.theme import load_themes
from prodtop.tui.widgets.chart import BrailleChart
from textual.app import App, ComposeResult
from textual.geometry import Region


def is_drawn(text: str) -> bool:
    return bool(re.search("[\u2801-\u28ff]", text))


class Charts(App[None]):
    """One chart that notes what it has repainted."""

    def __init__(self, chart_settings: ChartSettings = CLOCK_SETTINGS) -> None:
        super().__init__()
        load_themes().register(self)
        self.theme = "prodtop-dark"
        self.chart = RecordingChart(chart_settings)

    def compose(self) -> ComposeResult:
        yield self.chart


class RecordingChart(BrailleChart):
    """Notes the regions of each refresh; none at all means the whole widget."""

    repainted: list[tuple[Region, ...]]

    def refresh(
        self,
        *regions: Region,
        repaint: bool = True,
        layout: bool = False,
        recompose: bool = False,
    ) -> "RecordingChart":
        self.__dict__.setdefault("repainted", []).append(regions)
        super().refresh(*regions, repaint=repaint, layout=layout, recompose=recompose)
        return self

    def rows(self) -> list[str]:
        return [self.render_line(y).text for y in range(self.size.height)]


async def test_a_logarithmic_chart_makes_room_for_its_thresholds() -> None:
    app = Charts(ChartSettings(unit=MILLISECONDS, logarithmic=True))
    async with app.run_test(size=(80, 16)) as pilot:
        app.chart.set_data(
            [wave()], now_s=NOW_S, span_s=60.0, thresholds=[Threshold(3000.0, "SLO")]
        )
        await pilot.pause()
        rows = app.chart.rows()
        assert rows[1].startswith("   5s┤")
        assert any(row.startswith("   3s┤╌") for row in rows)


async def test_the_same_data_again_repaints_nothing() -> None:
    app = Charts()
    async with app.run_test(size=(80, 12)) as pilot:
        app.chart.set_data([wave()], now_s=NOW_S, span_s=60.0)
        await pilot.pause()
        app.chart.repainted.clear()
        app.chart.set_data([wave()], now_s=NOW_S, span_s=60.0)
        assert app.chart.repainted == []


async def test_time_within_a_column_repaints_no_curve() -> None:
    app = Charts()
    async with app.run_test(size=(80, 12)) as pilot:
        app.chart.set_data([wave()], now_s=NOW_S - 5.0, span_s=60.0)
        await pilot.pause()
        app.chart.repainted.clear()
        app.chart.set_data([wave()], now_s=NOW_S - 4.9, span_s=60.0)
        changed = [region for regions in app.chart.repainted for region in regions]
        assert all(region.y == 0 for region in changed), "only the legend's figures may differ"
        assert all(app.chart.repainted)


async def test_a_chart_scrolls_by_whole_columns() -> None:
    app = Charts()
    async with app.run_test(size=(80, 12)) as pilot:
        app.chart.set_data([wave()], now_s=NOW_S - 10.0, span_s=60.0)
        await pilot.pause()
        step_s = app.chart.step_s
        assert step_s is not None
        middle_s = (NOW_S - 10.0) // step_s * step_s + step_s / 2
        app.chart.set_data([wave()], now_s=middle_s, span_s=60.0)
        before = app.chart.rows()[2:-2]
        app.chart.set_data([wave()], now_s=middle_s + 3 * step_s, span_s=60.0)
        after = app.chart.rows()[2:-2]
        for old, new in zip(before, after, strict=True):
            assert new[6 + 1 : -5] == old[6 + 4 : -2]


async def test_another_theme_repaints_with_its_glyphs() -> None:
    app = Charts()
    async with app.run_test(size=(60, 10)) as pilot:
        app.chart.set_data([wave()], now_s=NOW_S, span_s=60.0)
        await pilot.pause()
        assert not "".join(app.chart.rows()).isascii()
        app.theme = "ascii"
        await pilot.pause()
        assert "".join(app.chart.rows()).isascii()


async def test_a_resize_redraws_at_the_new_size() -> None:
    app = Charts()
    async with app.run_test(size=(60, 10)) as pilot:
        app.chart.set_data([wave()], now_s=NOW_S, span_s=60.0)
        await pilot.resize_terminal(100, 20)
        await pilot.pause()
        rows = app.chart.rows()
        assert len(rows) == 20
        assert {len(row) for row in rows} == {100}
        assert any(map(is_drawn, rows))


async def test_the_session_window_shows_everything_in_round_spans() -> None:
    app = Charts()
    async with app.run_test(size=(60, 10)) as pilot:
        times: Floats = np.linspace(NOW_S - 400, NOW_S, 800, dtype=np.float64)
        app.chart.set_data(
            [Series("all", times.tolist(), [1.0] * 800)], now_s=NOW_S, span_s=float("inf")
        )
        await pilot.pause()
        assert app.chart.rows()[-1].split() == ["-10m", "now"]


async def test_every_segment_carries_the_background() -> None:
    """A terminal with a background of its own must not shine through."""
    app = Charts()
    async with app.run_test(size=(60, 10)) as pilot:
        app.chart.set_data([wave()], now_s=NOW_S, span_s=60.0, cursor_s=NOW_S - 10)
        await pilot.pause()
        for strip in app.chart.render_lines(app.chart.size.region):
            for segment in strip:
                assert segment.style is not None
                assert segment.style.bgcolor is not None
