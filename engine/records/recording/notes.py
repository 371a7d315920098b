"""Notes on a recording that were written after it: in a file beside it, a JSON object a line.

The recording itself is never changed: it may be somebody else's, or be recorded at the moment.
"""

import math
from contextlib import suppress
from pathlib import Path

import msgspec

from ...files.appended import append_line
from ...files.bounded import read_bounded
from ...protocol.errors import CheckpointError, ProdtopError
from ...text.cleaning import clean

MOST_BYTES = 1 << 20
MOST_NOTE_CHARACTERS = 200


class RecordingNote(msgspec.Struct, frozen=True, kw_only=True):
    """A note; `clock_s` is the moment that it is on, on the recording's clock."""

    clock_s: float
    text: str


def notes_file(recording: Path) -> Path:
    """`<name>.ptop.notes.jsonl`."""
    return recording.with_name(f"{recording.name}.notes.jsonl")


def read_notes(recording: Path) -> list[RecordingNote]:
    """The notes beside a recording, in order of time. A line that is no note is passed over, and so
    is a file that cannot be read: what was recorded is there without it."""
    try:
        content = read_bounded(notes_file(recording), MOST_BYTES)
    except (FileNotFoundError, CheckpointError):
        return []
    notes: list[RecordingNote] = []
    for each in content.split(b"\n"):
        with suppress(msgspec.MsgspecError, ValueError, RecursionError):
            note = msgspec.json.decode(each, type=RecordingNote)
            text = clean(note.text)[:MOST_NOTE_CHARACTERS]
            if text.strip() and math.isfinite(note.clock_s):
                notes.append(RecordingNote(clock_s=note.clock_s, text=text))
    return sorted(notes, key=lambda note: note.clock_s)


def add_note(recording: Path, note: RecordingNote) -> None:
    """Append a note. Raises `ProdtopError` where it cannot be kept."""
    path = notes_file(recording)
    try:
        append_line(path, msgspec.json.encode(note), MOST_BYTES)
    except OSError as error:
        why = error.strerror or str(error)
        raise ProdtopError(f"the note is not kept: {clean(path.name)}: {why}") from error
