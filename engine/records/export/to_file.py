"""Writing a recording's export to a file, in whatever format."""

from pathlib import Path

from ...files.atomic import fill_file, write_file
from ...protocol.errors import ProdtopError
from ...text.cleaning import clean
from ..recording.reader import Recording
from .formats import FORMATS
from .parquet import BINARY_FORMATS

KINDS = (*FORMATS, *BINARY_FORMATS)
"""All formats."""
ENDINGS = {
    ".json": "perfetto",
    ".jsonl": "mooncake",
    ".prom": "openmetrics",
    ".csv": "csv",
    ".parquet": "parquet",
}
"""The format by the ending of the file, where that is all that says it."""


def export_recording(recording: Recording, kind: str, out: Path, *, through: bool = False) -> None:
    """Write `out` in the format `kind` of `KINDS`: all of it, or nothing. `through`: see
    `write_files`. Raises `ProdtopError` where it cannot be written."""
    try:
        if kind in BINARY_FORMATS:
            write = BINARY_FORMATS[kind]
            fill_file(out, lambda file: write(recording, file), through=through)
        else:
            text = "".join(f"{line}\n" for line in FORMATS[kind](recording))
            write_file(out, text.encode(), through=through)
    except OSError as error:
        # What a library raises has no `strerror`.
        why = error.strerror or clean(str(error))
        raise ProdtopError(f"cannot write {clean(str(out))}: {why}") from error
