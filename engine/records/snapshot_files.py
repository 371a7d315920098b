"""What is done to snapshots that were saved: naming and removing them, and the picture beside."""

from pathlib import Path

import msgspec

from ..files.atomic import write_file
from ..files.bounded import read_bounded
from ..files.paths import locked
from ..files.removal import remove_files
from ..protocol.errors import CheckpointError, ProdtopError
from ..text.cleaning import clean
from .snapshot import LARGEST_BYTES, SnapshotError, encoded, load_snapshot

LONGEST_LABEL = 200
"""Characters of a name that a user gives."""
LARGEST_PICTURE_BYTES = 16 << 20


def picture_of(path: Path) -> Path:
    """Where the picture of the screen lies that was saved with a snapshot."""
    return path.with_suffix(".svg")


def read_picture(path: Path) -> str:
    """The picture beside a snapshot; raises `SnapshotError` where there is none to be read."""
    picture = picture_of(path)
    try:
        return read_bounded(picture, LARGEST_PICTURE_BYTES).decode()
    except FileNotFoundError as error:
        raise SnapshotError(f"cannot read {clean(str(picture))}: no such file") from error
    except (CheckpointError, UnicodeDecodeError) as error:
        raise SnapshotError(f"cannot read {clean(str(error))}") from error


def checked_label(label: str) -> str:
    """A name as it is kept: one line, and not too long. Raises `SnapshotError`."""
    cleaned = clean(label).strip()
    if len(cleaned) > LONGEST_LABEL:
        raise SnapshotError(f"a name has {LONGEST_LABEL} characters at most")
    return cleaned


def name_snapshot(path: Path, label: str) -> None:
    """Give a snapshot a name, or none where that is empty; all else in the file stays.

    The file keeps its own name, which is the snapshot's id. Raises `SnapshotError` for a file that
    is no snapshot, and `ProdtopError` where it cannot be written: then it is as it was.
    """
    label = checked_label(label)
    load_snapshot(path)
    try:
        with locked(path.parent):
            fields = msgspec.json.decode(read_bounded(path, LARGEST_BYTES), type=dict[str, object])
            write_file(path, encoded({**fields, "label": label}))
    except CheckpointError as error:
        raise SnapshotError(f"cannot read {clean(str(error))}") from error
    except OSError as error:
        raise ProdtopError(f"cannot write {clean(str(path))}: {error.strerror}") from error


def remove_snapshot(path: Path) -> None:
    """Remove a snapshot and its picture, whatever the file holds. Raises `ProdtopError`."""
    try:
        remove_files(path, picture_of(path))
    except OSError as error:
        raise ProdtopError(f"cannot remove {clean(str(path))}: {error.strerror}") from error
