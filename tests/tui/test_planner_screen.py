"""The Planner tab under Textual's pilot: typing, turning, views, findings, saving, calibrating."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
from frames import ScriptedClient, play
from planner_cases import QuickSearch
from prodtop.tui.app import ProdtopApp
from prodtop.tui.planner import calibrating
from prodtop.tui.planner.calibrating import Calibrator
from prodtop.tui.screens import planner as planner_screen
from prodtop.tui.screens.planner import PlannerScreen
from prodtop.tui.settings.config import Config
from prodtop.tui.widgets.form_panel import FormPanel
from prodtop.tui.widgets.lines import LinesView
from prodtop.tui.widgets.rows_panel import RowsPanel
from textual.pilot import Pilot

DEADLINE_S = 60.0


class Tab:
    """The open Planner tab, and what is on the terminal."""

    def __init__(self, app: ProdtopApp, client: ScriptedClient, pilot: Pilot[None]) -> None:
        self.app, self.client, self.pilot = app, client, pilot

    @property
    def screen(self) -> PlannerScreen:
        assert isinstance(self.app.screen, PlannerScreen)
        return self.app.screen

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def type(self, text: str) -> None:
        await self.press(*text)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while not condition():
                await asyncio.sleep(0.02)
        await self.pilot.pause()

    async def found(self) -> None:
        """Wait until the search has answered."""
        session = self.screen._session
        await self.until(
            lambda: session.searched is not None and session.searched.done_s is not None
        )

    def text(self) -> str:
        strips = self.app.screen._compositor.render_strips()
        return "\n".join(strip.text for strip in strips)

    def note(self) -> str:
        return self.app.screen.query_one("#event", LinesView).lines[0].plain


Open = Callable[..., AbstractAsyncContextManager[Tab]]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Open:
    """Open the tab at some size, over an engine that serves."""
    monkeypatch.setattr(planner_screen, "SearchClient", QuickSearch)

    @asynccontextmanager
    async def run(size: tuple[int, int] = (120, 36)) -> AsyncIterator[Tab]:
        client = ScriptedClient(play(2))
        app = ProdtopApp(client, config=Config(refresh_hz=0.5), theme="prodtop-dark")
        async with app.run_test(size=size) as pilot:
            while client.polls:
                app.monitor.poll()
            tab = Tab(app, client, pilot)
            await tab.press("P")
            yield tab

    return run


def test_the_planner_needs_no_torch_and_the_first_frame_no_planner() -> None:
    script = (
        "import sys, prodtop.tui.app; early = set(sys.modules);"
        "import prodtop.tui.screens.planner;"
        "print('torch' in sys.modules, 'prodtop.engine.planner.search.search' in early)"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["False", "False"]


async def test_the_tab_opens_with_results_at_once(opened: Open) -> None:
    async with opened() as tab:
        text = tab.text()
        assert "[Planner]" in text
        for words in ("generic-7b", "Your layout", "Strategies", "MFU", "tok/s"):
            assert words in text
        await tab.press("L")
        assert "Stream" in tab.text()
        await tab.press("P")
        assert "Your layout" in tab.text()


async def test_keys_of_the_live_tab_do_nothing_here(opened: Open) -> None:
    async with opened() as tab:
        await tab.press("-", "]", "space", "w")
        assert tab.client.sent == []
        assert not tab.app.monitor.playhead.frozen


async def test_arrows_turn_the_chosen_field(opened: Open) -> None:
    async with opened() as tab:
        await tab.press("down", "right")
        evaluation = tab.screen._session.evaluation
        assert evaluation is not None
        assert evaluation.plan.batch == 512
        assert "512" in tab.text()
        await tab.press("left", "left")
        assert tab.screen._session.form.texts["batch"] == "128"


async def test_results_follow_every_typed_key(opened: Open) -> None:
    async with opened() as tab:
        await tab.press("down")
        for key, batch in (("6", None), ("4", 64), ("0", 640)):
            await tab.press(key)
            evaluation = tab.screen._session.evaluation
            assert evaluation is not None
            if batch is not None:
                assert evaluation.plan.batch == batch
        await tab.press("enter")
        assert tab.screen._session.form.texts["batch"] == "640"


async def test_letters_are_typed_into_a_field_and_run_nothing(opened: Open) -> None:
    async with opened() as tab:
        await tab.press("enter", "ctrl+u")
        await tab.type("qwen3-8b")
        assert tab.app.is_running
        assert "8.19B" in tab.text()
        await tab.press("escape")
        assert tab.screen._session.form.texts["model"] == "generic-7b"
        assert "7.11B" in tab.text()


async def test_a_wrong_field_is_marked_and_the_rest_stays(opened: Open) -> None:
    async with opened() as tab:
        before = tab.screen._session.evaluation
        await tab.press("down", "9", "9", "enter")
        text = tab.text()
        assert "99 sequences do not split into" in text
        assert "as it was before" in text
        assert "1 field to correct" in tab.note()
        assert tab.screen._session.evaluation is before
        await tab.press("right")
        assert "as it was before" not in tab.text()


async def test_paste_goes_into_the_chosen_field(opened: Open) -> None:
    async with opened() as tab:
        from textual import events

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
    opened: Open, key: str, words: str, size: tuple[int, int]
) -> None:
    async with opened(size) as tab:
        await tab.found()
        await tab.press(key)
        await tab.until(lambda: words in tab.text())
        await tab.press(key, "tab", "down", "up", "shift+tab")
        assert tab.app.is_running


async def test_a_search_fills_the_tables(opened: Open) -> None:
    async with opened() as tab:
        await tab.found()
        text = tab.text()
        assert "searching" not in text
        for name in ("Data", "Model", "Pipeline", "Tensor", "3D", "best"):
            assert name in text


async def test_scenarios_take_one_key(opened: Open) -> None:
    async with opened() as tab:
        for key, model in (("v", "generic-1b"), ("b", "generic-7b"), ("n", "generic-70b")):
            await tab.press(key)
            evaluation = tab.screen._session.evaluation
            assert evaluation is not None
            assert (evaluation.plan.model.name, evaluation.plan.cluster.gpus) == (model, 32)


async def test_enter_opens_a_figures_formula(opened: Open) -> None:
    async with opened() as tab:
        await tab.press("tab", "down", "down", "enter")
        assert "[f Formulas]" in tab.text()
        tree = tab.screen.query_one("#tree", RowsPanel)
        assert tree.has_focus
        await tab.until(lambda: "dp * micro_batch" in tab.text())


async def test_the_best_layout_is_taken_over(opened: Open) -> None:
    async with opened() as tab:
        await tab.found()
        best = tab.screen._session.best()
        await tab.press("u")
        evaluation = tab.screen._session.evaluation
        assert best is not None
        assert evaluation is not None
        assert evaluation.estimate.layout == best.layout
        assert "taken over" in tab.note()


async def test_charts_are_read_place_by_place(opened: Open) -> None:
    async with opened((160, 48)) as tab:
        await tab.press("g", "tab")
        await tab.press(*["right"] * 6)
        await tab.until(lambda: "32 GPUs" in tab.text())
        await tab.press("k")
        await tab.until(lambda: "batch 8 a GPU" in tab.text())


async def test_an_export_is_saved_where_the_line_says(opened: Open, tmp_path: Path) -> None:
    async with opened() as tab:
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


@pytest.mark.parametrize(
    ("script", "words"), [(CALIBRATES, "calibrated: kept in x"), (REFUSES, "no GPU here")]
)
async def test_calibration_is_asked_for_twice_and_told(
    opened: Open, script: str, words: str
) -> None:
    async with opened() as tab:
        tab.screen._calibrator = Calibrator([sys.executable, "-c", script])
        await tab.press("c")
        assert "again" in tab.note()
        await tab.press("c")
        await tab.until(lambda: words in tab.note())


@pytest.mark.parametrize("script", [LASTS, DEAF], ids=["listens", "deaf"])
async def test_a_calibration_can_be_ended(
    opened: Open, script: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibrating, "GRACE_S", 0.2)
    async with opened() as tab:
        tab.screen._calibrator = Calibrator([sys.executable, "-c", script])
        await tab.press("c", "c")
        await tab.until(lambda: "begun" in tab.note())
        await tab.press("c")
        await tab.until(lambda: "calibration ended" in tab.note())


async def test_the_served_model_can_be_planned_for(opened: Open) -> None:
    async with opened() as tab:
        await tab.press("enter", "ctrl+u")
        await tab.type("served")
        await tab.press("enter")
        evaluation = tab.screen._session.evaluation
        assert evaluation is not None
        assert evaluation.plan.model.name == "qwen3-0.6b"


async def test_a_panel_can_have_all_the_room(opened: Open) -> None:
    async with opened() as tab:
        await tab.press("tab", "m")
        await tab.until(lambda: "Strategies" not in tab.text())
        await tab.press("m")
        await tab.until(lambda: "Strategies" in tab.text())


async def test_the_help_lists_the_keys(opened: Open) -> None:
    async with opened((100, 60)) as tab:
        await tab.press("?")
        await tab.press("end")
        text = tab.text()
        assert "Scenario: 70B on 32 GPUs" in text or "Planner" in text
