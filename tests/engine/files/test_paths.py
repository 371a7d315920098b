"""The folders are where XDG says, and the owner's alone."""

import stat
from pathlib import Path

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
