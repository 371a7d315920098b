"""A snapshot opens as the screen that it was saved on: the same picture, and nothing to change."""

from pathlib import Path

import msgspec
import pytest
from compare_samples import answer, benches, two_precisions
from frames import ScriptedClient, play, ready
from prodtop.engine.protocol import Report
from prodtop.engine.records.snapshot import Snapshot, list_snapshots, load_snapshot
from prodtop.tui.app import ProdtopApp
from prodtop.tui.app_setup import AppSetup
from prodtop.tui.snapshot_app import ONE_MOMENT, SnapshotApp
from prodtop.tui.state.monitor import Monitor
from prodtop.tui.state.snapshot import Seen, snapshot_of
from prodtop.tui.state.snapshot_monitor import SnapshotMonitor
from prodtop.tui.widgets.lines import LinesView
from quality_samples import measured
from running_app import SLOW, Clock
from test_replay_screen import panels_of
from textual.pilot import Pilot


async def still(pilot: Pilot[None]) -> list[str]:
    """The picture once it stays as it is."""
    last: list[str] = []
    while last != (last := panels_of(pilot.app.export_screenshot())):
        await pilot.pause()
    return last


class Session:
    """A scripted session under the pilot that is saved with `s`."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.clock = folder, Clock()
        self.client = ScriptedClient(obedient=True)
        self.app = ProdtopApp(
            self.client,
            AppSetup(clock=self.clock, config=SLOW, theme="ember", snapshot_folder=folder),
        )

    def take_in(self, *polls: list[Report], seconds: float = 0.25) -> None:
        self.client.polls.extend(polls)
        while self.client.polls:
            self.clock.now_s += seconds
            self.app.monitor.poll()

    async def saved(self, pilot: Pilot[None], keys: tuple[str, ...]) -> tuple[Path, list[str]]:
        """Save after some keys; returns the file, and the picture that was seen then."""
        await pilot.press(*keys)
        self.app.draw()
        seen = await still(pilot)
        await pilot.press("s")
        (path,) = list_snapshots(self.folder)
        return path, seen


async def opened(path: Path, size: tuple[int, int]) -> list[str]:
    app = SnapshotApp(load_snapshot(path), AppSetup(clock=Clock(), config=SLOW))
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        return await still(pilot)


LIVE_CASES = {
    "80x24": ((80, 24), ()),
    "120x36": ((120, 36), ()),
    "160x48": ((160, 48), ()),
    "a heatmap over 5 minutes": ((120, 36), ("w", "w", "h")),
    "histograms over the session": ((120, 36), ("w", "w", "w", "h", "h")),
    "paused in the past": ((120, 36), ("left", "left")),
    "an opened request": ((120, 36), ("R", "o", "down", "enter")),
}


@pytest.mark.parametrize(("size", "keys"), LIVE_CASES.values(), ids=LIVE_CASES)
async def test_it_is_drawn_as_it_was_live(
    tmp_path: Path, size: tuple[int, int], keys: tuple[str, ...]
) -> None:
    session = Session(tmp_path)
    async with session.app.run_test(size=size) as pilot:
        session.take_in(*play(90))
        path, seen = await session.saved(pilot, keys)
    assert await opened(path, size) == seen


async def test_a_sweep_is_drawn_as_it_was(tmp_path: Path) -> None:
    session = Session(tmp_path)
    async with session.app.run_test(size=(120, 36)) as pilot:
        session.take_in([ready(), two_precisions()])
        await pilot.press("C", "b")
        for number in range(9):
            session.take_in(list(answer(benches(session.client.sent)[number], number)), seconds=2)
        session.take_in([two_precisions(90.0)])
        path, seen = await session.saved(pilot, ("n", "down", "right", "equals_sign"))
    assert await opened(path, (120, 36)) == seen


async def test_quality_is_drawn_as_it_was(tmp_path: Path) -> None:
    session = Session(tmp_path)
    async with session.app.run_test(size=(120, 36)) as pilot:
        session.take_in(*play(2))
        await pilot.press("Q", "b")
        session.take_in(*([each] for each in measured()), seconds=1.0)
        path, seen = await session.saved(pilot, ("right_square_bracket", "c"))
    assert await opened(path, (120, 36)) == seen


async def test_the_plan_comes_back(tmp_path: Path) -> None:
    session = Session(tmp_path)
    async with session.app.run_test(size=(120, 36)) as pilot:
        session.take_in(*play(2))
        await pilot.press("P", "n", "f")
        path, _ = await session.saved(pilot, ("L",))
    plan = load_snapshot(path).plan
    assert plan is not None
    assert plan.texts["model"] == "generic-70b"
    assert plan.tokens_s > 0
    app = SnapshotApp(load_snapshot(path), AppSetup(clock=Clock(), config=SLOW))
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.press("P")
        await pilot.pause()
        assert app.current_mode == "planner"
        kept = app._opened.seen(app.theme, "planner").plan
        assert kept is not None
        assert kept == plan


@pytest.fixture
def saved(tmp_path: Path) -> Snapshot:
    clock, client = Clock(), ScriptedClient(play(20))
    monitor = Monitor(client, SLOW, clock=clock)
    while client.polls:
        clock.now_s += 0.25
        monitor.poll()
    moment = monitor.moment()
    assert moment.frame is not None
    seen = Seen("prodtop-dark", "live", {})
    return snapshot_of(
        moment, moment.frame, monitor.timeline(), monitor.versions, seen, monitor.tried.records
    )


ENGINE_KEYS = ("2", "[", "]", "d", "A", "-", "=", "r")
WALKING_KEYS = ("space", "left", "shift+right", "home", "end", ",", ".", "{", "}")


async def test_nothing_can_be_changed_in_it(saved: Snapshot) -> None:
    app = SnapshotApp(saved, AppSetup(clock=Clock(), config=SLOW))
    async with app.run_test(size=(100, 30)) as pilot:
        for key in (*ENGINE_KEYS, *WALKING_KEYS):
            app.monitor.say("nothing yet")
            await pilot.press(key)
            said = app.query_one("#event", LinesView).lines[0].plain
            words = SnapshotMonitor.read_only_words if key in ENGINE_KEYS else ONE_MOMENT
            assert words in said, key
        assert app.monitor.moment().pending == SnapshotMonitor(saved).moment().pending
        assert "KEPT" in app.query_one("#header", LinesView).lines[0].plain


async def test_a_snapshot_without_its_screen_is_drawn_from_the_rest(saved: Snapshot) -> None:
    """As older files are, and those whose screen is another version's."""
    for screen in (None, {}, {"wall_s": "noon"}):
        app = SnapshotApp(
            msgspec.structs.replace(saved, screen=screen), AppSetup(clock=Clock(), config=SLOW)
        )
        async with app.run_test(size=(120, 36)) as pilot:
            await pilot.pause()
            shown = " ".join(line.plain for line in app.query_one("#event", LinesView).lines)
            assert "hybrid" in shown
            assert app.monitor.moment().health.word == "OK"
