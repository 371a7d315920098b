"""The Sessions tab in a real terminal: what is opened from it has that, and gives it back."""

import os
import shutil
import signal
from pathlib import Path

import pytest
from prodtop.engine.records.snapshot import list_snapshots
from test_tmux import serves_on, tiny
from tmux import prodtop

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")


def test_a_snapshot_is_opened_left_killed_and_removed_while_the_engine_serves_on(
    tiny_folder: Path,
) -> None:
    with prodtop(120, 36, *tiny(tiny_folder)) as pane:
        serves_on(pane)
        pane.press("s")
        pane.shows("saved ")
        (path,) = list_snapshots()
        pane.press("S")
        pane.shows("snap  2")
        pane.press("Enter")
        text = pane.shows("KEPT")
        assert "Throughput" in text
        pane.press("2")
        pane.shows("this is a snapshot")
        pane.press("q")
        pane.shows("Snapshots and recordings")
        pane.press("Enter")
        pane.shows("KEPT")
        (child,) = pane.processes("replay")
        os.kill(child.pid, signal.SIGKILL)
        pane.shows("it ended with -9")
        pane.press("x")
        pane.shows("brings it back")
        assert list_snapshots() == []
        pane.press("u")
        pane.shows("is back")
        assert list_snapshots() == [path]
        pane.press("x")
        pane.shows("brings it back")
        pane.press("L")
        serves_on(pane)
        pane.press("q")
        pane.shows("ended with 0")
    assert not list(path.parent.iterdir())
