"""The folders are where XDG says, the owner's alone, and the logs bounded."""

import stat
from pathlib import Path

import pytest
from prodtop.engine.files import paths


def test_the_folders_follow_xdg(tmp_path: Path) -> None:
    assert paths.config_dir() == tmp_path / "xdg-config" / "prodtop"
    assert paths.snapshots_dir() == tmp_path / "xdg-data" / "prodtop" / "snapshots"
    assert paths.log_dir().is_relative_to(tmp_path / "xdg-state" / "prodtop")


def test_asking_for_a_folder_does_not_create_it() -> None:
    assert not paths.data_dir().exists()
    assert not paths.config_dir().exists()


def test_a_folder_is_created_for_its_owner_alone() -> None:
    folder = paths.owned_folder(paths.snapshots_dir())
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert paths.owned_folder(folder) == folder


def test_a_large_log_is_set_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "MAX_LOG_BYTES", 10)
    log = paths.log_file("worker")
    log.write_text("short")
    assert paths.log_file("worker").read_text() == "short"
    log.write_text("much too long")
    assert not paths.log_file("worker").exists()
    assert log.with_name("worker.log.1").read_text() == "much too long"
