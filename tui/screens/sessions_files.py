"""What the Sessions tab does with files, in threads: each function raises `ProdtopError`."""

from pathlib import Path

from ...engine.files.atomic import write_file
from ...engine.files.removal import Trash
from ...engine.files.sqlite_file import beside_database, is_written_now
from ...engine.protocol.errors import BadInputError, ProdtopError
from ...engine.records.diff.diff import Diff, diff_of
from ...engine.records.diff.html import html_diff
from ...engine.records.diff.read import read_side
from ...engine.records.export.snapshot_formats import FORMATS as SNAPSHOT_FORMATS
from ...engine.records.export.to_file import ENDINGS, export_recording
from ...engine.records.kept.rows import KeptRow, Kind
from ...engine.records.recording.naming import name_recording
from ...engine.records.recording.notes import notes_file
from ...engine.records.recording.reader import Recording
from ...engine.records.snapshot_files import name_snapshot, picture_of
from ...engine.text.cleaning import clean


class Shelf:
    """What was removed, until it is emptied."""

    def __init__(self) -> None:
        self._trash = Trash()

    def __len__(self) -> int:
        return len(self._trash)

    def remove(self, row: KeptRow) -> None:
        """Take a file away, with what lies beside it."""
        path = row.path
        if row.kind is Kind.RECORDING and is_written_now(path):
            raise BadInputError(f"{row.id} is being recorded: finish that first")
        snapshot = row.kind is Kind.SNAPSHOT
        beside = [picture_of(path)] if snapshot else [*beside_database(path), notes_file(path)]
        try:
            self._trash.take([path, *beside])
        except OSError as error:
            raise ProdtopError(f"cannot remove {row.id}: {error.strerror}") from error

    def restore(self) -> str:
        """Bring back what was removed last; says what."""
        try:
            first = self._trash.restore()[0]
        except FileExistsError as error:
            raise ProdtopError("cannot bring it back: something has its name by now") from error
        except OSError as error:
            raise ProdtopError(f"cannot bring it back: {error.strerror}") from error
        return f"{clean(first.stem)} is back"

    def empty(self) -> None:
        """Remove all of it for good."""
        self._trash.empty()


def name_file(row: KeptRow, text: str) -> str:
    """Give a file a name; says so."""
    if row.kind is Kind.SNAPSHOT:
        name_snapshot(row.path, text)
    else:
        name_recording(row.path, text)
    return f"{row.id} is called {clean(text)}" if text.strip() else f"{row.id} has no name"


def compare_files(before: Path, after: Path) -> Diff:
    """The diff of two files, read in full."""
    return diff_of(read_side(before), read_side(after))


def export_name(row: KeptRow, *, diffing: bool) -> tuple[str, str]:
    """What to ask for, and a file to begin with."""
    if diffing:
        return "file for the diff: .html or .json", f"~/{row.id}-diff.html"
    if row.kind is Kind.SNAPSHOT:
        endings = " ".join(f".{name}" for name in SNAPSHOT_FORMATS)
        return f"file to write: {endings}", f"~/{row.id}.html"
    return f"file to write: {' '.join(ENDINGS)}", f"~/{row.id}.json"


def export_file(row: KeptRow, diff: Diff | None, out: Path) -> None:
    """Write a file, or the diff, in the format of the ending of `out`. Nothing is written over."""
    if out.exists():
        raise BadInputError(f"{clean(str(out))} exists: give another name")
    if diff is None and row.kind is Kind.RECORDING:
        _export_recording(row.path, out)
        return
    content = _snapshot_content(row, out) if diff is None else _diff_content(diff, out)
    try:
        write_file(out, content)
    except OSError as error:
        raise ProdtopError(f"cannot write {clean(str(out))}: {error.strerror}") from error


def _diff_content(diff: Diff, out: Path) -> bytes:
    import msgspec

    if out.suffix == ".json":
        return msgspec.json.encode(diff)
    if out.suffix != ".html":
        raise BadInputError("a diff is written as .html or .json")
    return html_diff(diff).encode()


def _snapshot_content(row: KeptRow, out: Path) -> bytes:
    kind = SNAPSHOT_FORMATS.get(out.suffix.removeprefix("."))
    if kind is None:
        raise BadInputError(f"a snapshot is written as {', '.join(SNAPSHOT_FORMATS)}")
    return kind(row.path)


def _export_recording(path: Path, out: Path) -> None:
    kind = ENDINGS.get(out.suffix)
    if kind is None:
        raise BadInputError(f"a recording is written as {', '.join(ENDINGS)}")
    recording = Recording(path)
    try:
        export_recording(recording, kind, out)
    finally:
        recording.close()
