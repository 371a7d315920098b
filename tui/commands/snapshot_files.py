"""The snapshots in the usual folder, and what a name on the command line means among them."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from ...engine.files.paths import snapshots_dir
from ...engine.protocol.errors import BadInputError
from ...engine.records.snapshot import SnapshotError, list_snapshots, load_snapshot
from ...engine.text.cleaning import clean
from .kept_names import named, plain_file


def find_snapshot(name: str) -> Path:
    """The file that `name` means: a file, the id of a snapshot or how it begins, or `latest`.

    Raises `BadInputError` where there is none, or where several begin like it.
    """
    return plain_file(name) or find_kept_snapshot(name)


def find_kept_snapshot(name: str) -> Path:
    """As `find_snapshot`, of those in the folder alone."""
    found = named(name, list_snapshots(), latest_snapshot)
    if found is not None:
        return found
    folder = clean(str(snapshots_dir()))
    raise BadInputError(
        f"no snapshot '{clean(name)}': 'prodtop snapshot list' shows those in {folder}"
    )


def latest_snapshot(paths: Sequence[Path]) -> Path:
    """The file that was written last of those that can be read, or else of all."""
    newest_first = sorted(paths, key=_saved, reverse=True)
    for path in newest_first:
        with suppress(SnapshotError):
            load_snapshot(path)
            return path
    return newest_first[0]


def _saved(path: Path) -> tuple[float, str]:
    """Another prodtop may have removed it meanwhile."""
    try:
        return path.lstat().st_mtime, path.name
    except OSError:
        return 0.0, path.name
