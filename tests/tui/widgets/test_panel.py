"""Panels and line views in an app: frames, titles, and repainting only what changed."""

import pytest
from prodtop.tui.drawing.line import Line
from prodtop.tui.style.theme import load_themes
from prodtop.tui.widgets.lines import LinesView
from prodtop.tui.widgets.panel import Panel
from textual.app import App, ComposeResult
from textual.geometry import Region


class Framed(App[None]):
    """A panel around two lines."""

    def __init__(self, theme: str = "prodtop-dark") -> None:
        super().__init__()
        load_themes().register(self)
        self.theme = theme
        self.view = RecordingLines([Line.of("first"), Line.of("second")])
        self.panel = Panel("Throughput")

    def compose(self) -> ComposeResult:
        with self.panel:
            yield self.view

    def panel_rows(self) -> list[str]:
        size = self.panel.outer_size
        return [strip.text for strip in self.panel.render_lines(size.region)]


class RecordingLines(LinesView):
    """Notes what it repaints."""

    repainted: list[tuple[Region, ...]]

    def refresh(
        self,
        *regions: Region,
        repaint: bool = True,
        layout: bool = False,
        recompose: bool = False,
    ) -> "RecordingLines":
        self.__dict__.setdefault("repainted", []).append(regions)
        super().refresh(*regions, repaint=repaint, layout=layout, recompose=recompose)
        return self


@pytest.mark.parametrize(("theme", "corners"), [("prodtop-dark", "╭╮╰╯"), ("ascii", "++++")])
async def test_a_panel_has_a_frame_with_title_and_headline(theme: str, corners: str) -> None:
    app = Framed(theme)
    async with app.run_test(size=(40, 6)) as pilot:
        app.panel.set_headline("22.9k tok/s")
        await pilot.pause()
        first, *sides, last = app.panel_rows()
        assert first[0] + first[-1] == corners[:2]
        assert " Throughput " in first
        assert " 22.9k tok/s " in first
        assert last[0] + last[-1] == corners[2:]
        assert {len(row) for row in (first, *sides, last)} == {40}
        assert len({row[0] + row[-1] for row in sides}) == 1


async def test_a_line_view_repaints_only_the_lines_that_changed() -> None:
    app = Framed()
    async with app.run_test(size=(40, 6)) as pilot:
        await pilot.pause()
        app.view.repainted.clear()
        app.view.set_lines([Line.of("first"), Line.of("changed")])
        assert [[region.y for region in regions] for regions in app.view.repainted] == [[1]]
        app.view.repainted.clear()
        app.view.set_lines([Line.of("first"), Line.of("changed")])
        assert app.view.repainted == []


async def test_a_line_view_grows_with_its_lines() -> None:
    app = Framed()
    async with app.run_test(size=(40, 10)) as pilot:
        app.view.set_lines([Line.of(str(number)) for number in range(5)])
        await pilot.pause()
        assert app.view.size.height == 5
        assert [app.view.render_line(y).text.strip() for y in range(5)] == list("01234")


async def test_the_frame_follows_the_theme() -> None:
    app = Framed()
    async with app.run_test(size=(40, 6)) as pilot:
        app.theme = "ascii"
        await pilot.pause()
        assert app.panel_rows()[0].isascii()
