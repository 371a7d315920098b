"""The Planner tab under Textual's pilot: typing, turning, views, findings, saving, calibrating."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
from frames import ScriptedClient, play
from planner_cases import QuickSearch
from prodtop.engine.planner.question.options import FORM
from prodtop.tui.app import ProdtopApp
from prodtop.tui.app_setup import AppSetup
from prodtop.tui.planner import calibrating
from prodtop.tui.planner.calibrating import Calibrator
from prodtop.tui.planner.evaluation import Evaluation
from prodtop.tui.screens import planner as planner_screen
from prodtop.tui.screens.planner import PlannerScreen
from prodtop.tui.widgets.board import Board
from prodtop.tui.widgets.curve_panel import CurvePanel
from prodtop.tui.widgets.form_panel import FormPanel
from prodtop.tui.widgets.lines import LinesView
from prodtop.tui.widgets.rows_panel import RowsPanel
from running_app import SLOW, Clock, RunningApp
from textual import events

DEADLINE_S = 60.0


class PlannerTab(RunningApp):
    """The open Planner tab."""

    @property
    def screen(self) -> PlannerScreen:
        """The tab, also where a dialog lies over it."""
        screen = self.app.screen_stack[0]
        assert isinstance(screen, PlannerScreen)
        return screen

    @property
    def evaluation(self) -> Evaluation:
        """What the plan in the form comes to."""
        evaluation = self.screen.session.evaluation
        assert evaluation is not None
        return evaluation

    def field(self, name: str) -> str:
        """The text in a field of the form."""
        return self.screen.session.form.texts[name]

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while not condition():
                await asyncio.sleep(0.02)
        await self.pilot.pause()

    async def until_searched(self) -> None:
        """Wait until the search has answered."""
        session = self.screen.session
        await self.until(
            lambda: session.searched is not None and session.searched.done_s is not None
        )

    def note(self) -> str:
        return self.app.screen.query_one("#event", LinesView).lines[0].plain


OpenPlanner = Callable[..., AbstractAsyncContextManager[PlannerTab]]


@pytest.fixture
def planner(monkeypatch: pytest.MonkeyPatch) -> OpenPlanner:
    """Open the tab at some size, over an engine that serves."""
    monkeypatch.setattr(planner_screen, "SearchClient", QuickSearch)

    @asynccontextmanager
    async def run(size: tuple[int, int] = (120, 36), gpus: int = 1) -> AsyncIterator[PlannerTab]:
        client, clock = ScriptedClient(play(2, gpus=gpus)), Clock()
        app = ProdtopApp(client, AppSetup(clock=clock, config=SLOW, theme="prodtop-dark"))
        async with app.run_test(size=size) as pilot:
            while client.polls:
                app.monitor.poll()
            tab = PlannerTab(app, client, clock, pilot)
            await tab.press("P")
            yield tab

    return run


async def test_the_tab_opens_with_results_at_once(planner: OpenPlanner) -> None:
    async with planner() as tab:
        text = tab.text()
        assert "[Planner]" in text
        for words in ("generic-7b", "Your layout", "Strategies", "MFU", "tok/s"):
            assert words in text
        await tab.press("L")
        assert "Stream" in tab.text()
        await tab.press("P")
        assert "Your layout" in tab.text()


async def test_keys_of_the_live_tab_do_nothing_here(planner: OpenPlanner) -> None:
    async with planner() as tab:
        await tab.press("-", "]", "space", "p")
        assert tab.client.sent == []
        assert not tab.app.monitor.playhead.frozen


async def test_arrows_turn_the_chosen_field(planner: OpenPlanner) -> None:
    async with planner() as tab:
        await tab.press("down", "right")
        assert tab.evaluation.plan.batch == 512
        assert "512" in tab.text()
        await tab.press("left", "left")
        assert tab.field("batch") == "128"


async def test_results_follow_every_typed_key(planner: OpenPlanner) -> None:
    async with planner() as tab:
        await tab.press("down", "6")
        assert tab.evaluation.plan.batch == 256, "6 sequences cannot be split over 32 GPUs"
        assert "as it was before" in tab.text()
        await tab.press("4")
        assert tab.evaluation.plan.batch == 64
        assert "as it was before" not in tab.text()
        await tab.press("0")
        assert tab.evaluation.plan.batch == 640
        await tab.press("enter")
        assert tab.field("batch") == "640"


async def test_letters_are_typed_into_a_field_and_run_nothing(planner: OpenPlanner) -> None:
    async with planner() as tab:
        await tab.press("enter", "ctrl+u")
        await tab.press(*"qwen3-8b")
        assert tab.field("model") == "generic-7b", "what is typed counts once it is entered"
        assert "8.19B" in tab.text()
        await tab.press("escape")
        assert tab.field("model") == "generic-7b"
        assert "7.11B" in tab.text()


async def test_a_model_is_picked_from_a_list_that_typing_filters(planner: OpenPlanner) -> None:
    async with planner() as tab:
        await tab.press("enter")
        text = tab.text()
        for words in ("type to filter", "parameters", "in bf16", "generic-7b", "7.11B"):
            assert words in text
        await tab.press(*"llama 70", "down", "up", "enter")
        assert tab.field("model") == "llama-2-70b"
        assert tab.evaluation.plan.model.name == "llama-2-70b"
        assert "type to filter" not in tab.text()


async def test_a_gpu_is_picked_with_its_memory_and_bandwidth_beside_it(
    planner: OpenPlanner,
) -> None:
    async with planner((80, 24)) as tab:
        await tab.press(*["down"] * list(FORM).index("gpu"), "enter")
        text = tab.text()
        for words in ("memory", "bandwidth", "80.0 GiB", "3.35 TB/s"):
            assert words in text
        await tab.press(*"h200", "enter")
        assert tab.field("gpu") == "h200"
        await tab.press("enter", "down", "escape")
        assert tab.field("gpu") == "h200", "escape leaves it as it was"


async def test_what_is_on_no_list_can_be_typed(planner: OpenPlanner) -> None:
    async with planner() as tab:
        await tab.press("enter", *"13.5B", "end", "enter")
        assert tab.field("model") == "13.5B"


async def test_keys_typed_before_the_list_is_in_sight_go_to_it(planner: OpenPlanner) -> None:
    """`q` would quit otherwise."""
    async with planner() as tab:
        panel = tab.screen.query_one(FormPanel)
        for key in ("enter", "q", "w", "e", "n", "3", "-", "8", "enter"):
            panel.post_message(events.Key(key, key if len(key) == 1 else None))
        await tab.pilot.pause()
        assert tab.app.is_running
        assert tab.field("model") == "qwen3-8b"


async def test_a_fields_text_is_selected_and_typing_replaces_it(planner: OpenPlanner) -> None:
    async with planner() as tab:
        await tab.press("down", "enter", "6", "4", "enter")
        assert tab.field("batch") == "64"
        await tab.press("enter", "end", "0", "enter")
        assert tab.field("batch") == "640"


async def test_a_wrong_field_is_marked_and_the_rest_stays(planner: OpenPlanner) -> None:
    async with planner() as tab:
        before = tab.evaluation
        await tab.press("down", "9", "9", "enter")
        text = tab.text()
        assert "99 sequences cannot be split" in text
        assert "as it was before" in text
        assert "1 field to correct" in tab.note()
        assert tab.evaluation is before
        await tab.press("right")
        assert "as it was before" not in tab.text()


async def test_paste_goes_into_the_chosen_field(planner: OpenPlanner) -> None:
    async with planner() as tab:
        tab.screen.query_one(FormPanel).post_message(events.Paste("llama-3.1-70b\n"))
        await tab.pilot.pause()
        assert "70.6B" in tab.text()


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("o", "GiB"),
        ("g", "Memory per GPU"),
        ("l", "Why the winner wins"),
        ("f", "Formula"),
        ("d", "Decision path"),
        ("a", "a100-80"),
        ("x", "deepspeed"),
    ],
)
@pytest.mark.parametrize("size", [(60, 18), (80, 24), (120, 36), (200, 60)])
async def test_every_view_opens_at_every_size(
    planner: OpenPlanner, key: str, words: str, size: tuple[int, int]
) -> None:
    async with planner(size) as tab:
        await tab.until_searched()
        await tab.press(key)
        await tab.until(lambda: words in tab.text())
        for pressed in (key, "tab", "down", "up", "shift+tab"):
            await tab.press(pressed)
            assert tab.screen.focused is not None
            assert tab.screen.focused.display, "no panel out of sight has the focus"


async def test_one_key_compares_strategies_scenarios_and_gpu_types(planner: OpenPlanner) -> None:
    async with planner((80, 24)) as tab:
        await tab.until_searched()
        await tab.press("w")
        await tab.until(lambda: "strategy  GPUs  fits" in tab.text())
        await tab.press("tab", "end")
        await tab.until(lambda: "MI250X" in tab.text())


async def test_a_view_of_several_pages_says_which_is_in_sight(planner: OpenPlanner) -> None:
    async with planner((80, 24)) as tab:
        assert "[o Overview 1/2]" in tab.text()
        assert "x Export" in tab.text()
        await tab.press("o")
        assert "[o Overview 2/2]" in tab.text()
        await tab.press("o")
        assert "[o Overview 1/2]" in tab.text()
        await tab.press("f")
        assert "[f Formulas]" in tab.text()


async def test_a_search_fills_the_tables(planner: OpenPlanner) -> None:
    async with planner() as tab:
        await tab.until_searched()
        text = tab.text()
        assert "searching" not in text
        for name in ("Data", "Model", "Pipeline", "Tensor", "3D", "best"):
            assert name in text


async def test_scenarios_take_one_key(planner: OpenPlanner) -> None:
    async with planner() as tab:
        for key, model in (("v", "generic-1b"), ("b", "generic-7b"), ("n", "generic-70b")):
            await tab.press(key)
            assert (tab.evaluation.plan.model.name, tab.evaluation.plan.cluster.gpus) == (model, 32)


async def test_enter_opens_a_figures_formula(planner: OpenPlanner) -> None:
    async with planner() as tab:
        await tab.press("tab", "down", "down", "enter")
        assert "[f Formulas]" in tab.text()
        tree = tab.screen.query_one("#tree", RowsPanel)
        assert tree.has_focus
        await tab.until(lambda: "dp * micro_batch" in tab.text())


async def test_the_best_layout_is_taken_over(planner: OpenPlanner) -> None:
    async with planner() as tab:
        await tab.until_searched()
        best = tab.screen.session.best()
        assert best is not None
        assert tab.evaluation.estimate.layout != best.layout
        await tab.press("u")
        assert tab.evaluation.estimate.layout == best.layout
        assert "taken over" in tab.note()


async def test_charts_are_read_place_by_place(planner: OpenPlanner) -> None:
    async with planner((160, 48)) as tab:
        await tab.press("g", "tab")
        await tab.press(*["right"] * 6)
        memory = tab.screen.query_one("#curve-memory", CurvePanel)
        assert memory.has_focus
        await tab.until(lambda: "32 GPUs" in tab.text())
        await tab.press("escape", "left")
        await tab.until(lambda: "4096 GPUs" in tab.text())
        assert "batch 8 a GPU" not in tab.text()
        await tab.press("k")
        await tab.until(lambda: "batch 8 a GPU" in tab.text())
        assert tab.screen.session.growing


async def test_an_export_is_saved_where_the_line_says(planner: OpenPlanner, tmp_path: Path) -> None:
    async with planner() as tab:
        await tab.press("s")
        assert "export view first" in tab.note()
        await tab.press("x", "tab", "s")
        assert "saved" not in tab.note()
        await tab.press("down", "down", "down", "s")
        assert "saved: " in tab.note()
        assert list((tmp_path / "xdg-data" / "prodtop" / "exports").rglob("launch.sh"))


CALIBRATES = "import sys; print('3 of 9', file=sys.stderr); print('kept in x')"
REFUSES = "import sys; print('prodtop: no GPU here', file=sys.stderr); sys.exit(2)"
LASTS = "import sys, time; print('begun', file=sys.stderr, flush=True); time.sleep(600)"
DEAF = f"import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); {LASTS}"
"""As a child of what a shell started in its background."""


def calibrate_with(script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a tab that opens from now on run a script in place of the calibration."""
    monkeypatch.setattr(
        planner_screen, "Calibrator", lambda: Calibrator([sys.executable, "-c", script])
    )


@pytest.mark.parametrize(
    ("script", "words"), [(CALIBRATES, "calibrated: kept in x"), (REFUSES, "no GPU here")]
)
async def test_calibration_is_asked_for_twice_and_told(
    planner: OpenPlanner, script: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    calibrate_with(script, monkeypatch)
    async with planner() as tab:
        await tab.press("c")
        assert "again" in tab.note()
        await tab.press("c")
        await tab.until(lambda: words in tab.note())


async def test_where_there_is_no_gpu_nothing_is_measured(
    planner: OpenPlanner, monkeypatch: pytest.MonkeyPatch
) -> None:
    calibrate_with(CALIBRATES, monkeypatch)
    async with planner(gpus=0) as tab:
        for _ in range(3):
            await tab.press("c")
            assert "no GPU here" in tab.note()
            assert "no NVIDIA driver" in tab.note()
        assert not tab.screen._calibrator.running


def test_the_tab_measures_gpus_alone() -> None:
    assert calibrating.COMMAND[-2:] == ["--device", "cuda"]


@pytest.mark.parametrize("script", [LASTS, DEAF], ids=["listens", "deaf"])
async def test_a_calibration_can_be_ended(
    planner: OpenPlanner, script: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibrating, "GRACE_S", 0.2)
    calibrate_with(script, monkeypatch)
    async with planner() as tab:
        await tab.press("c", "c")
        await tab.until(lambda: "begun" in tab.note())
        await tab.press("c")
        await tab.until(lambda: "calibration ended" in tab.note())
        await tab.press("c")
        assert "again to begin" in tab.note()


async def test_the_served_model_can_be_planned_for(planner: OpenPlanner) -> None:
    async with planner() as tab:
        await tab.press("enter", "ctrl+u")
        await tab.press(*"served")
        await tab.press("enter")
        assert tab.evaluation.plan.model.name == "qwen3-0.6b"


async def test_a_panel_can_have_all_the_room(planner: OpenPlanner) -> None:
    async with planner() as tab:
        await tab.press("tab", "m")
        await tab.until(lambda: "Strategies" not in tab.text())
        board = tab.screen.query_one(Board)
        shown = [panel for panel in board.children if panel.display]
        assert [panel.id for panel in shown] == ["summary"]
        assert shown[0].outer_size == board.size
        await tab.press("m")
        await tab.until(lambda: "Strategies" in tab.text())
        assert sum(panel.display for panel in board.children) > 1


async def test_the_help_lists_the_keys(planner: OpenPlanner) -> None:
    async with planner((100, 132)) as tab:
        await tab.press("down", "?")
        text = tab.text()
        for words in ("The field at hand: batch", "1 to 1,073,741,824 seq", "begins with"):
            assert words in text
        assert "Scenario: 70B on 32 GPUs" in text
        assert "Next panel; shift+tab the one before" in text
        assert text.index("Scenario: 1B") < text.index("Next precision")
        await tab.press("end")
        text = tab.text()
        assert "Next precision" in text
        assert "Little's law from both sides" in text
