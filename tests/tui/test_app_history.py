"""Freezing the display, walking the history, and saving what is shown."""

import json
from pathlib import Path

from frames import EPOCH_S, frame, host, play
from of_our_own import known
from prodtop.engine.records.snapshot import load_snapshot
from running_app import open_app


async def test_space_freezes_and_the_arrows_walk() -> None:
    async with open_app(play(30)) as running:
        await running.press("space")
        assert "PAUSED" in running.line("header")
        await running.advance([frame(31), host(31)], [frame(32), host(32)], seconds=1.0)
        assert len(running.app.monitor.history) == 123
        assert "PAUSED       00:00:02 ago" in running.line("header")
        await running.press(*["shift+left"] * 3)
        moment = running.app.monitor.moment()
        assert moment.frame is not None
        assert moment.frame.uptime_s < 20
        assert known(moment.frame.strategy).value in running.line("header")
        await running.press("right", "home")
        assert running.app.monitor.playhead.cursor_s == EPOCH_S
        await running.press("end", "escape")
        assert "● OK" in running.line("header")


async def test_left_freezes_a_live_display() -> None:
    async with open_app(play(30)) as running:
        await running.press("left")
        assert "PAUSED" in running.line("header")
        cursor_s = running.app.monitor.playhead.cursor_s
        assert cursor_s is not None
        assert EPOCH_S + 25 < cursor_s < EPOCH_S + 30


async def test_s_saves_what_is_shown(tmp_path: Path) -> None:
    async with open_app(play(10), snapshot_folder=tmp_path) as running:
        await running.press("s")
        (path,) = tmp_path.glob("*.json")
        assert path.with_suffix(".svg").read_text().startswith("<svg")
        snapshot = load_snapshot(path)
        assert snapshot.frame.uptime_s == 10
        assert len(snapshot.series["decode_tok_s"]) == 41
        assert snapshot.settings.theme == "prodtop-dark"
        assert snapshot.versions["torch"] == "2.11.0"
        assert path.stem in running.app.monitor.moment().log[-1].text


async def test_a_paused_snapshot_is_of_the_moment_under_the_cursor(tmp_path: Path) -> None:
    async with open_app(play(10), snapshot_folder=tmp_path) as running:
        await running.press("space", "home", "s")
        (path,) = tmp_path.glob("*.json")
        assert json.loads(path.read_bytes())["frame"]["uptime_s"] == 0


async def test_a_snapshot_that_cannot_be_written_says_why(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    async with open_app(play(2), snapshot_folder=blocked / "folder") as running:
        await running.press("s")
        assert "cannot write a snapshot" in running.line("event")


async def test_nothing_is_saved_before_the_first_figures(tmp_path: Path) -> None:
    async with open_app(snapshot_folder=tmp_path) as running:
        await running.press("s")
        assert list(tmp_path.iterdir()) == []
        assert "nothing to save yet" in running.line("event")
