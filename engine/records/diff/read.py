"""Reading a side of a diff from its file."""

from pathlib import Path

from ...text.cleaning import clean
from ..recording.reader import Recording
from ..recording.stretch import WHOLE, Stretch
from ..snapshot import load_snapshot
from .recording_side import recording_side
from .side import Side
from .snapshot_side import snapshot_side


def is_recording(path: Path) -> bool:
    """Whether a file is read as a recording, and not as a snapshot."""
    return path.suffix != ".json"


def read_side(path: Path, stretch: Stretch = WHOLE) -> Side:
    """What a file has to compare. Raises `BadInputError`."""
    name = clean(path.stem) + ("" if stretch == WHOLE else f"@{stretch}")
    if not is_recording(path):
        return snapshot_side(name, load_snapshot(path))
    recording = Recording(path)
    try:
        return recording_side(name, recording, stretch)
    finally:
        recording.close()
