"""The recordings in the usual folder, and what a name on the command line means among them."""

from contextlib import suppress
from pathlib import Path

from ...engine.files.paths import recordings_dir
from ...engine.files.sqlite_file import is_written_now
from ...engine.protocol.errors import BadInputError
from ...engine.records.recording.database import SUFFIX
from ...engine.records.recording.reader import RecordingError
from ...engine.text.cleaning import clean

LATEST = "latest"
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
    # A name may be too long to look for.
    with suppress(OSError, ValueError):
        if Path(name).is_file():
            return Path(name)
    if name == DEMO and not any(path.stem == DEMO for path in list_recordings()):
        return DEMO_FILE
    return find_kept(name)


def find_kept(name: str) -> Path:
    """As `find_recording`, of those in the folder alone."""
    paths = list_recordings()
    if name == LATEST and paths:
        return paths[-1]
    for path in paths:
        if name in (path.name, path.stem):
            return path
    beginning = [path for path in paths if name and path.name.startswith(name)]
    if len(beginning) > 1:
        several = ", ".join(clean(path.stem) for path in beginning)
        raise BadInputError(f"'{clean(name)}' may be any of {several}: give more of the name")
    if beginning:
        return beginning[0]
    folder = clean(str(recordings_dir()))
    raise BadInputError(
        f"no recording '{clean(name)}': 'prodtop recording list' shows those in {folder}"
    )


def refuse_in_use(path: Path) -> None:
    """Raise `BadInputError` for a file that some prodtop records to now."""
    if is_written_now(path):
        raise BadInputError(f"{clean(str(path))} is being recorded: finish that first")
