"""The recordings in the usual folder, and what a name on the command line means among them."""

from pathlib import Path

from ...engine.files.paths import recordings_dir
from ...engine.files.sqlite_file import is_written_now
from ...engine.protocol.errors import BadInputError
from ...engine.records.recording.database import SUFFIX
from ...engine.records.recording.reader import RecordingError
from ...engine.text.cleaning import clean
from .kept_names import named, plain_file

DEMO = "demo"
DEMO_FILE = Path(__file__).parents[2] / "engine" / "records" / "demo.ptop"
"""Ten minutes of the bundled model, installed with the program."""


def list_recordings() -> list[Path]:
    """The files of the folder of recordings, oldest first; none where there is no folder.

    Raises `RecordingError` where it cannot be read.
    """
    folder = recordings_dir()
    try:
        paths = [path for path in folder.iterdir() if path.suffix == SUFFIX]
        return sorted(paths, key=lambda path: (path.lstat().st_mtime, path.name))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise RecordingError(f"cannot read {clean(str(folder))}: {error.strerror}") from error


def find_recording(name: str) -> Path:
    """The file that `name` means: a file, the name of a recording or how it begins, `latest`, or
    `demo`, which is installed, unless a recording has that name.

    Raises `BadInputError` where there is none, or where several begin like it.
    """
    path = plain_file(name)
    if path is not None:
        return path
    if name == DEMO and not any(path.stem == DEMO for path in list_recordings()):
        return DEMO_FILE
    return find_kept(name)


def find_kept(name: str) -> Path:
    """As `find_recording`, of those in the folder alone."""
    found = named(name, list_recordings(), lambda paths: paths[-1])
    if found is not None:
        return found
    folder = clean(str(recordings_dir()))
    raise BadInputError(
        f"no recording '{clean(name)}': 'prodtop recording list' shows those in {folder}"
    )


def refuse_in_use(path: Path) -> None:
    """Raise `BadInputError` for a file that some prodtop records to now."""
    if is_written_now(path):
        raise BadInputError(f"{clean(str(path))} is being recorded: finish that first")
