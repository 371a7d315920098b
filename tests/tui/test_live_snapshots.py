"""Pictures of the Live tab: recorded frames, a clock that stands still, the usual sizes.

After a change on purpose: `pytest tests/tui/test_live_snapshots.py --snapshot-update`, and look.
"""

import os
import time
from collections.abc import Iterator

import pytest
from frames import ScriptedClient, host, play
from prodtop.engine.protocol import ChildDied, Progress, Report
from prodtop.tui.app import ProdtopApp
from prodtop.tui.app_setup import AppSetup
from running_app import SLOW, Clock, SnapCompare
from textual.pilot import Pilot

SIZES = [(80, 24), (120, 36), (160, 48)]


@pytest.fixture(autouse=True)
def greenwich() -> Iterator[None]:
    """Clock times on the charts are local: the same everywhere for these pictures."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = "UTC"
    time.tzset()
    yield
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before
    time.tzset()


def compare(
    snap_compare: SnapCompare,
    polls: list[list[Report]],
    size: tuple[int, int],
    *keys: str,
    theme: str = "prodtop-dark",
) -> bool:
    """Play a session to the app and press some keys; whether it looks as it did."""
    clock, client = Clock(), ScriptedClient(polls)
    app = ProdtopApp(client, AppSetup(clock=clock, config=SLOW, theme=theme))

    async def before(pilot: Pilot[None]) -> None:
        while client.polls:
            clock.now_s += 0.25
            app.monitor.poll()
        app.draw()
        await pilot.pause()
        await pilot.press(*keys)
        app.monitor.poll()
        app.draw()
        await pilot.pause()

    return snap_compare(app, terminal_size=size, run_before=before)


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_live_on_a_gpu(snap_compare: SnapCompare, size: tuple[int, int]) -> None:
    assert compare(snap_compare, play(60), size)


def test_live_on_a_cpu(snap_compare: SnapCompare) -> None:
    assert compare(snap_compare, play(60, gpus=0), (120, 36), theme="prodtop-light")


def test_live_in_ascii(snap_compare: SnapCompare) -> None:
    assert compare(snap_compare, play(60), (80, 24), theme="ascii")


def test_live_with_four_gpus_on_a_wide_screen(snap_compare: SnapCompare) -> None:
    assert compare(snap_compare, play(60, gpus=4), (210, 60))


def test_the_whole_table_of_requests(snap_compare: SnapCompare) -> None:
    assert compare(snap_compare, play(60), (120, 36), "R", "down", "down", "o", "o")


@pytest.mark.parametrize("theme", ["prodtop-dark", "ascii"])
def test_one_requests_timeline(snap_compare: SnapCompare, theme: str) -> None:
    assert compare(snap_compare, play(60), (120, 36), "R", "down", "enter", theme=theme)


def test_latency_as_a_heatmap(snap_compare: SnapCompare) -> None:
    assert compare(snap_compare, play(60), (160, 48), "h", theme="mono")


def test_latency_as_histograms(snap_compare: SnapCompare) -> None:
    assert compare(snap_compare, play(60), (120, 36), "h", "h")


def test_paused_in_the_past(snap_compare: SnapCompare) -> None:
    assert compare(snap_compare, play(60), (120, 36), "space", *["shift+left"] * 3)


def test_starting(snap_compare: SnapCompare) -> None:
    polls: list[list[Report]] = [[Progress(what="loading bf16 weights", fraction=0.4), host(0)]]
    assert compare(snap_compare, polls, (80, 24))


def test_a_killed_worker(snap_compare: SnapCompare) -> None:
    died = ChildDied(
        child="worker", reason="killed (signal 9)", failed_requests=12, restart_in_s=1.0
    )
    assert compare(snap_compare, [*play(60), [died, host(60.5)]], (80, 24))


def test_a_small_terminal(snap_compare: SnapCompare) -> None:
    assert compare(snap_compare, play(60), (60, 18))


def test_help(snap_compare: SnapCompare) -> None:
    assert compare(snap_compare, play(2), (80, 24), "question_mark")
