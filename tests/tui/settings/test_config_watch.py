"""A config file that is changed while the screen is open."""

import os
from pathlib import Path

import pytest
from frames import ScriptedClient, frame, ready
from prodtop.engine.protocol import SetSlo, SloSpec
from prodtop.tui.app import ProdtopApp
from prodtop.tui.app_setup import AppSetup
from prodtop.tui.settings.config import ConfigError
from prodtop.tui.settings.config_watch import ConfigWatch
from running_app import SLOW, Clock


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    write(path, "theme = 'mono'\n", 1)
    return path


def write(path: Path, text: str, second: int) -> None:
    """Change the file as if at that second: the test's own writes may share one."""
    path.write_text(text, encoding="utf-8")
    os.utime(path, (second, second))


def test_a_change_is_read_once(file: Path) -> None:
    watch = ConfigWatch(file)
    assert watch.changed(0.0) is None
    write(file, "[slo]\nttft_ms = 80\n", 2)
    assert watch.changed(0.5) is None, "not twice within a second"
    found = watch.changed(1.5)
    assert found is not None
    assert found.slo.spec() == SloSpec(ttft_ms=80.0)
    assert watch.changed(3.0) is None


def test_a_wrong_file_is_told_once(file: Path) -> None:
    watch = ConfigWatch(file)
    write(file, "[slo]\nttft_ms = 0\n", 2)
    with pytest.raises(ConfigError, match="ttft_ms"):
        watch.changed(1.0)
    assert watch.changed(5.0) is None


def test_a_file_that_goes_changes_nothing_and_one_that_comes_is_read(file: Path) -> None:
    watch = ConfigWatch(file)
    file.unlink()
    assert watch.changed(1.0) is None
    write(file, "window = '5m'\n", 3)
    assert watch.changed(3.0) is not None


async def test_new_limits_go_to_the_engine(file: Path) -> None:
    client, clock = ScriptedClient([[ready(), frame()]]), Clock()
    app = ProdtopApp(
        client,
        AppSetup(clock=clock, config=SLOW, theme="prodtop-dark", config_watch=ConfigWatch(file)),
    )
    async with app.run_test(size=(100, 30)):
        app.tick()
        write(file, "[slo]\ne2e_ms = 5000\n", 2)
        clock.now_s += 2.0
        app.tick()
        assert client.sent == [SetSlo(slo=SloSpec(e2e_ms=5000.0))]
        write(file, "[slo]\ne2e_ms = 'fast'\n", 3)
        clock.now_s += 2.0
        app.tick()
        assert "e2e_ms" in app.monitor.moment().log[-1].text
        assert len(client.sent) == 1
