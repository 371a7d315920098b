"""The screen over files that are broken or cannot be written: it starts, and says so."""

import os
from pathlib import Path

import pytest
from frames import ScriptedClient, play
from prodtop.engine.planner.calibrate.saved import calibration_file
from prodtop.tui.app import ProdtopApp
from prodtop.tui.app_setup import AppSetup
from prodtop.tui.settings.config import Config
from prodtop.tui.style.theme import ThemeError, load_themes
from running_app import Clock, open_app, terminal_text


async def test_a_broken_theme_that_the_config_names_is_told_on_the_screen(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "mine.toml")
    (tmp_path / "other.toml").write_text("name = ")
    app = ProdtopApp(
        ScriptedClient(play(2)),
        AppSetup(
            config=Config(refresh_hz=0.5, theme="mine"), themes=load_themes(tmp_path), clock=Clock()
        ),
    )
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.pause()
        said = [entry.text for entry in app.monitor.moment().log]
        for words in ("mine.toml: is a FIFO", "other.toml: ", "unknown theme 'mine'"):
            assert any(words in line for line in said)
        assert "unknown theme 'mine'" in terminal_text(app)


def test_a_theme_that_was_asked_for_and_is_not_there_is_an_error() -> None:
    with pytest.raises(ThemeError, match="unknown theme 'mine'"):
        ProdtopApp(ScriptedClient(play(2)), AppSetup(theme="mine"))


async def test_a_snapshot_that_cannot_be_written_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "snapshots"
    folder.write_text("")
    async with open_app(play(2), snapshot_folder=folder) as running:
        await running.press("s")
        assert "cannot write a snapshot" in running.text()
        folder.unlink()
        await running.press("s", "s")
        assert len(list(folder.glob("*.json"))) == len(list(folder.glob("*.svg"))) == 2


@pytest.mark.parametrize("broken", ["[gpu", "[gpu.h100-sxm]\nhbm = 1e308\n"])
async def test_a_broken_calibration_is_told_on_the_planner_tab(broken: str) -> None:
    calibration_file().parent.mkdir(parents=True)
    calibration_file().write_text(broken)
    # Wide enough for the whole path of a temporary folder, which is cut elsewhere.
    async with open_app(play(2), size=(240, 40)) as running:
        await running.press("P")
        assert "calibration.toml: " in running.text()
        assert "generic-7b" in running.text()
