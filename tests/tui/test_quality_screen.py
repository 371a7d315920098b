"""The Quality tab under Textual's pilot: measuring, cancelling, choosing, looking, saving."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from frames import frame, ready
from prodtop.engine.protocol import (
    ChildDied,
    LoadSpec,
    PrecisionName,
    Progress,
    QualityDone,
    Report,
    RunQuality,
    SetPrecision,
)
from prodtop.engine.records.snapshot import list_snapshots, load_snapshot
from prodtop.tui.screens.quality import VIEWS, QualityScreen
from prodtop.tui.state.moment import Phase
from prodtop.tui.state.quality_run import VOID
from prodtop.tui.state.stage import Stage
from prodtop.tui.widgets.board import Board
from prodtop.tui.widgets.lines import LinesView
from prodtop.tui.widgets.rows_panel import RowsPanel
from quality_samples import BF16, INT8, LEVELS, REFERENCE, errors, measured, served
from running_app import RunningApp, open_app


class QualityTab(RunningApp):
    """The open Quality tab."""

    @property
    def screen(self) -> QualityScreen:
        assert isinstance(self.app.screen, QualityScreen)
        return self.app.screen

    def run(self) -> Stage:
        """Where the measurement stands."""
        return self.app.monitor.moment().quality.run

    def asked(self) -> list[object]:
        """The measurements that were asked for: which precisions, or `None` to stop."""
        commands = [each for each in self.client.sent if isinstance(each, RunQuality)]
        return [each.spec.precisions if each.spec else None for each in commands]

    def line(self, name: str) -> str:
        """The text of one of the lines of the tab in view."""
        return self.app.screen.query_one(f"#{name}", LinesView).lines[0].plain

    def shown(self) -> set[str | None]:
        return {panel.id for panel in self.screen.query_one(Board).children if panel.display}

    async def settle(self) -> None:
        """Draw once more: a focus or a size that changed is drawn by messages of its own."""
        await self.advance([])
        self.app.draw()
        await self.pilot.pause()


@asynccontextmanager
async def open_quality(
    reports: Sequence[Report] = (),
    *,
    size: tuple[int, int] = (120, 36),
    begin: bool = False,
    folder: Path | None = None,
) -> AsyncIterator[QualityTab]:
    """Open the tab over an engine that serves; with `begin` it says `reports` to a measurement."""
    async with open_app([[ready(), frame()]], size=size, snapshot_folder=folder) as running:
        tab = QualityTab(running.app, running.client, running.clock, running.pilot)
        await tab.press("Q", *("b" if begin else ""))
        await tab.advance(list(reports))
        await tab.settle()
        yield tab


async def test_the_tab_opens_and_says_which_key_measures() -> None:
    async with open_quality() as tab:
        text = tab.text()
        assert "[Quality]" in text
        assert "nothing measured yet: b measures" in text
        assert tab.client.sent == []
        await tab.press("L")
        assert "Stream" in tab.text()


async def test_b_begins_and_results_arrive_level_by_level() -> None:
    async with open_quality() as tab:
        await tab.press("b")
        assert tab.asked() == [[name for name in PrecisionName if name != "fp8"]]
        assert VOID in tab.text()
        await tab.advance([Progress(what="text at bf16", fraction=0.34)])
        assert "text at bf16" in tab.text()
        assert "34 %" in tab.text()
        await tab.advance([REFERENCE])
        await tab.advance([LEVELS[INT8]])
        assert "so far: int8: 38 % less memory" in tab.text()
        await tab.advance([*measured()])
        assert tab.run() is Stage.DONE
        assert "int4 saves another 26 % and costs 3.7 % perplexity" in tab.text()
        assert "quality measured at fp32 bf16 fp16 int8 int4" in tab.line("event")


@pytest.mark.parametrize("key", ["b", "x"])
async def test_measuring_is_cancelled_and_what_came_stays(key: str) -> None:
    async with open_quality([REFERENCE, LEVELS[INT8]], begin=True) as tab:
        await tab.press(key, key)
        assert tab.asked()[1:] == [None], "told once"
        assert tab.run() is Stage.CANCELLING
        await tab.advance([QualityDone()])
        assert tab.run() is Stage.CANCELLED
        assert "int8: 38 % less memory" in tab.text()
        await tab.press("x")
        assert "no quality is being measured" in tab.line("event")


async def test_a_worker_that_dies_ends_it_and_the_next_start_is_no_progress_of_it() -> None:
    died = ChildDied(child="worker", reason="killed (signal 9)", restart_in_s=1.0)
    async with open_quality([REFERENCE, LEVELS[INT8]], begin=True) as tab:
        await tab.advance([died])
        assert tab.run() is Stage.FAILED
        assert "int8: 38 % less memory" in tab.text()
        assert "killed (signal 9)" in tab.line("event")
        await tab.press("b")
        assert tab.asked()[1:] == []
        assert "not yet" in tab.line("event")
        await tab.advance([Progress(what="loading bf16 weights", fraction=0.5)])
        quality = tab.app.monitor.moment().quality
        assert (quality.run, quality.doing) == (Stage.FAILED, "")


async def test_progress_of_quality_is_no_start_of_the_engine() -> None:
    async with open_quality(begin=True) as tab:
        await tab.advance([Progress(what="text at int8", fraction=0.5)])
        worker = tab.app.monitor.moment().worker
        assert (worker.phase, worker.fraction) == (Phase.SERVING, None)


async def test_the_live_tab_says_that_speeds_are_void_and_marks_the_span() -> None:
    async with open_quality([Progress(what="text at int8", fraction=0.5)], begin=True) as tab:
        await tab.press("L")
        # The answer to the key is shown first.
        await tab.advance([frame(70)], seconds=6)
        assert VOID in tab.line("event")
        await tab.advance([*measured()])
        assert VOID not in tab.line("event")
        marks = tab.app.monitor.timeline().marks()
        assert [mark.label for mark in marks] == ["quality", "quality ends"]


async def test_a_speed_is_measured_by_serving_at_the_level_shown() -> None:
    async with open_quality(measured(), begin=True) as tab:
        assert "no speed yet of" in tab.text()
        await tab.advance(*served(70, BF16, 1000))
        await tab.press("right_square_bracket", "right_square_bracket", "p")
        assert tab.client.sent[-1] == SetPrecision(name=INT8)
        await tab.advance(*served(100, INT8, 1500))
        text = tab.text()
        assert "1.50k" in text
        assert "at 1.5 times the speed" in text
        await tab.press("c")
        await tab.settle()
        assert "2.40" in tab.text(), "1.6 × 1.5"


async def test_frames_beside_a_measurement_give_no_speed() -> None:
    async with open_quality(begin=True) as tab:
        await tab.advance(*served(70, BF16, 1000, seconds=12))
        assert tab.app.monitor.moment().speeds.measured == {}


async def test_arrivals_at_a_rate_give_no_speed_and_it_is_said() -> None:
    async with open_quality(measured(), begin=True) as tab:
        await tab.advance([frame(70, load=LoadSpec(rate_per_s=4.0))])
        assert ":users 8 sets a closed loop" in tab.text()


async def test_arrows_and_brackets_choose_the_level_that_is_shown() -> None:
    async with open_quality(measured(), begin=True, size=(160, 48)) as tab:
        assert tab.screen.chosen == "bf16"
        await tab.press("down", "down")
        assert tab.screen.chosen == "int8"
        assert "SNR by layer  int8" in tab.text()
        assert "they part at token 9" in tab.text()
        await tab.press("right_square_bracket")
        assert "SNR by layer  int4" in tab.text()
        levels = tab.screen.query_one("#levels", RowsPanel)
        assert levels.target == "int4"
        await tab.press(*["left_square_bracket"] * 9)
        assert tab.screen.chosen == "fp32"


async def test_enter_on_a_level_shows_its_layers_and_arrows_walk_them() -> None:
    async with open_quality(measured(), begin=True, size=(80, 24)) as tab:
        await tab.press("down", "down", "down", "enter")
        await tab.settle()
        assert tab.shown() == {"heat", "cell"}
        assert "SNR by layer  int4" in tab.text()
        await tab.press("right", "right", "down")
        assert "layer 2 output" in tab.text()
        await tab.press("end", "up")
        assert "layer 15 qkv" in tab.text()
        await tab.press(*["right_square_bracket"] * 9)
        assert "SNR by layer  affine-4" in tab.text()
        await tab.press("l")
        await tab.settle()
        assert tab.shown() == {"schemes"}
        assert "smaller by" in tab.text()


@pytest.mark.parametrize("size", [(60, 18), (80, 24), (160, 48)])
async def test_every_view_opens_at_every_size(size: tuple[int, int]) -> None:
    async with open_quality(measured(), begin=True, size=size) as tab:
        seen: set[str | None] = set()
        for key in "ooccllgg":
            await tab.press(key, "tab")
            seen |= tab.shown()
            assert tab.screen.focused is not None
            assert tab.screen.focused.display, "no panel out of sight has the focus"
        assert seen == set(VIEWS)
        await tab.press("m")
        assert len(tab.shown()) == 1
        await tab.press("m")


async def click(tab: QualityTab, words: str, *, cell: int = 1) -> None:
    """Click on a cell of the first place on the terminal where these words stand."""
    rows = tab.text().split("\n\n")
    y = next(number for number, row in enumerate(rows) if words in row)
    await tab.pilot.click(offset=(rows[y].index(words) + cell, y))
    await tab.settle()


async def test_what_has_a_key_answers_to_a_click() -> None:
    async with open_quality(measured(), begin=True, size=(160, 48)) as tab:
        await click(tab, "int4")
        assert tab.screen.chosen == "int4"
        await click(tab, "█")
        assert "▸down" in tab.text()
        await click(tab, "l Layers")
        assert tab.shown() == {"schemes", "heat", "cell"}
        await click(tab, "affine-8")
        assert tab.screen.chosen == "affine-8"
        await click(tab, "b measure")
        assert len(tab.asked()) == 2
        await click(tab, " Live ")
        assert tab.app.current_mode == "live"
        await click(tab, " Quality ")
        assert tab.app.current_mode == "quality"


async def test_a_scheme_that_is_no_precision_cannot_be_served_at() -> None:
    async with open_quality([errors("affine-8")], begin=True) as tab:
        await tab.press("l", "right_square_bracket")
        assert tab.screen.chosen == "affine-8"
        before = list(tab.client.sent)
        await tab.press("p")
        assert tab.client.sent == before
        assert "affine-8 is no precision" in tab.line("event")


async def test_a_snapshot_holds_what_was_measured(tmp_path: Path) -> None:
    async with open_quality(measured(), begin=True, folder=tmp_path) as tab:
        await tab.press("s")
        (path,) = list_snapshots(tmp_path)
        quality = load_snapshot(path).quality
        assert quality is not None
        assert quality.levels == list(tab.app.monitor.moment().quality.levels)
        assert len(quality.errors) == 8


async def test_keys_of_other_tabs_do_nothing_here() -> None:
    async with open_quality() as tab:
        await tab.press("-", "space", "w", "d", "1")
        assert tab.client.sent == []
        assert not tab.app.monitor.playhead.frozen


async def test_the_help_and_the_palette_list_the_keys() -> None:
    async with open_quality(size=(100, 90)) as tab:
        await tab.press("?")
        text = tab.text()
        for words in ("Measure every precision", "Greedy texts side by side", "Cancel measuring"):
            assert words in text
        await tab.press("escape")
        titles = [each.title for each in tab.app.get_system_commands(tab.app.screen)]
        assert "Measure every precision; again: cancel" in titles
        assert "Quality: what precisions cost" in titles
