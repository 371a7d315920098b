"""The Compare tab under Textual's pilot: measuring, stopping, looking, a baseline."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from compare_samples import answer, benches, two_precisions
from frames import ready
from prodtop.engine.protocol import BenchDone, ChildDied, Fault, SetLoad
from prodtop.engine.records.snapshot import list_snapshots, load_snapshot
from prodtop.tui.screens import compare as compare_module
from prodtop.tui.screens.compare import VIEWS, CompareScreen
from prodtop.tui.screens.compare_placement import place_panels
from prodtop.tui.state.compare_table import Table, table
from prodtop.tui.state.condition import Word
from prodtop.tui.state.moment import Phase
from prodtop.tui.state.stage import Stage
from running_app import RunningApp, open_app


class CompareTab(RunningApp):
    """The open Compare tab, whose benches are answered."""

    answered = 0

    async def answer(self, most: int) -> None:
        for _ in range(most):
            asked = benches(self.client.sent)
            if self.answered >= len(asked):
                break
            await self.advance(answer(asked[self.answered], self.answered), seconds=2.0)
            self.answered += 1
        self.app.draw()
        await self.pilot.pause()

    def stage(self) -> Stage:
        return self.app.monitor.moment().compare.stage

    def baseline(self) -> object:
        return self.screen.baseline

    @property
    def screen(self) -> CompareScreen:
        assert isinstance(self.app.screen, CompareScreen)
        return self.app.screen


@asynccontextmanager
async def open_compare(
    cells: int = 0, *, size: tuple[int, int] = (120, 36), folder: Path | None = None
) -> AsyncIterator[CompareTab]:
    """Open the tab over an engine of two precisions; `cells` repeats are measured."""
    async with open_app(
        [[ready(), two_precisions()]], size=size, snapshot_folder=folder
    ) as running:
        tab = CompareTab(running.app, running.client, running.clock, running.pilot)
        await tab.press("C", *("b" if cells else ""))
        await tab.answer(cells)
        yield tab


async def test_the_tab_opens_and_says_which_key_measures() -> None:
    async with open_compare() as tab:
        text = tab.text()
        assert "[Compare]" in text
        assert "not measured: b measures" in text
        assert "skip" in text
        assert tab.client.sent == []


async def test_cells_come_one_by_one_with_the_time_left() -> None:
    async with open_compare(3) as tab:
        text = tab.text()
        assert "0/12" in text
        assert "left" in text
        assert "18,043" in text
        health = tab.app.monitor.moment().health
        assert health.word is Word.MEASURING
        assert not any(isinstance(each, SetLoad) for each in tab.client.sent)
        assert tab.app.monitor.moment().worker.phase is Phase.SERVING
        await tab.answer(100)
        assert tab.stage() is Stage.DONE
        assert "take hybrid int8 under TTFT 2000 ms" in tab.text()
        assert "12 of 12 cells measured; all cells were measured" in tab.text()


async def test_x_stops_and_keeps_what_was_measured() -> None:
    async with open_compare(3) as tab:
        await tab.press("x")
        assert "stopping" in tab.text()
        await tab.answer(100)
        assert tab.stage() is Stage.CANCELLED
        assert "18,043" in tab.text()
        assert "4 of 12 cells measured; cancelled" in tab.text()


async def test_neither_a_fault_nor_a_death_closes_the_screen() -> None:
    async with open_compare(3) as tab:
        await tab.advance([Fault(message="no memory for this cell"), BenchDone()])
        tab.answered += 1
        await tab.press("up", "up")
        assert "FAILED: no memory for this cell" in tab.text()
        died = ChildDied(child="worker", reason="killed (signal 9)", restart_in_s=None)
        await tab.advance([died])
        assert tab.app.is_running
        assert tab.stage() is Stage.FAILED


async def test_the_cursor_explains_a_cell_and_sets_the_baseline() -> None:
    async with open_compare(12) as tab:
        await tab.press(*["up"] * 5, "equals_sign")
        assert tab.baseline() == ("single", "bf16")
        text = tab.text()
        assert "single bf16" in text
        assert "one request at a time" in text
        assert "×44.0?" in text, "hybrid, and too few repeats to say"
        await tab.press("equals_sign")
        assert tab.baseline() is None
        await tab.press("left", "equals_sign")
        assert "a baseline is a cell that was measured" in tab.text()


async def test_the_cursor_begins_on_what_is_served_also_when_keys_come_in_one_breath() -> None:
    async with open_compare() as tab:
        assert tab.screen.cursor == (5, 1)
    async with open_app([[ready(), two_precisions()]]) as running:
        await running.press("C", "b", "up")
        assert isinstance(running.app.screen, CompareScreen)
        assert running.app.screen.cursor == (4, 1)


async def test_the_matrix_is_worked_out_once_for_what_it_shows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However many ticks, panels and cursor keys show the same comparison by the same metric."""
    made: list[str] = []

    def counted(*given: object) -> Table:
        made.append(str(given[2]))
        return table(*given)  # type: ignore[arg-type]  # passed on as they came

    monkeypatch.setattr(compare_module, "table", counted)
    async with open_compare(5) as tab:
        before = len(made)
        for _ in range(4):
            await tab.press("up")
            tab.app.draw()
            await tab.pilot.pause()
        assert len(made) == before
        await tab.answer(1)
        assert len(made) == before + 1
        assert tab.screen.cursor == (1, 1)
        text = tab.text()
        await tab.press("n")
        assert len(made) == before + 2
        assert tab.text() != text
        await tab.press("down", "down", "equals_sign")
        assert len(made) == before + 3
        assert "×1.00" in tab.text()


async def test_a_snapshot_holds_the_cells_as_far_as_they_were_measured(tmp_path: Path) -> None:
    async with open_compare(3, folder=tmp_path) as tab:
        await tab.press("s")
        (path,) = list_snapshots(tmp_path)
        kept = load_snapshot(path).comparison
        assert kept is not None
        assert kept == tab.app.monitor.moment().compare.comparison
        assert len(kept.measured()) == 3


async def test_keys_change_the_metric() -> None:
    async with open_compare(12) as tab:
        await tab.press("n")
        assert "metric E2E p95 ms ↓" in tab.text()
        await tab.press("N", "N")
        assert "metric success ↑" in tab.text()


@pytest.mark.parametrize("size", [(60, 18), (80, 24), (120, 36), (160, 48), (220, 60)])
@pytest.mark.parametrize("view", ["matrix", "bars", "findings"])
def test_panels_fill_the_board_and_do_not_overlap(view: str, size: tuple[int, int]) -> None:
    width, height = size[0], size[1] - 4
    regions = list(place_panels(view, width, height).values())
    assert sum(region.area for region in regions) == width * height
    for index, one in enumerate(regions):
        assert not any(one.overlaps(other) for other in regions[index + 1 :])


async def test_every_panel_is_reached_at_the_smallest_size() -> None:
    async with open_compare(12, size=(80, 24)) as tab:
        seen = set()
        for key in ("o", "c", "i"):
            await tab.press(key)
            seen |= {panel.id for panel in tab.screen.query("RowsPanel") if panel.display}
        assert seen >= set(VIEWS)
