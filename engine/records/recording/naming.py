"""Giving a recording a name: a row of its facts. The file keeps its own, which is its id."""

import sqlite3
from pathlib import Path

from ...files.sqlite_file import connect_to_write, is_written_now
from ...protocol.errors import ProdtopError
from ...text.cleaning import clean
from ..snapshot_files import checked_label
from .reader import Recording, RecordingError

LABEL = "label"


def name_recording(path: Path, label: str) -> None:
    """Give a recording a name, or none where that is empty.

    Raises `RecordingError` for a file that is no recording or is being recorded, and `ProdtopError`
    where it cannot be written: then it is as it was.
    """
    label = checked_label(label)
    # Only of a file with exactly our tables, whose opening runs nothing, is anything written.
    Recording(path).close()
    if is_written_now(path):
        raise RecordingError(f"{clean(str(path))} is being recorded: finish that first")
    try:
        connection = connect_to_write(path)
        try:
            connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (LABEL, label))
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise ProdtopError(f"cannot write {clean(str(path))}: {clean(str(error))}") from error
