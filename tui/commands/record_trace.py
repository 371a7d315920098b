"""The option that has what is served written down as a trace, for every command that serves."""

import os
from pathlib import Path
from typing import Annotated

import typer

from ...engine.files.atomic import require_writable
from ...engine.protocol.errors import BadInputError
from ...engine.text.cleaning import clean

RecordTrace = Annotated[
    Path | None,
    typer.Option(
        "--record-trace",
        metavar="FILE",
        help="Write what is served to a new file, as a trace: times and lengths, no text.",
    ),
]


def new_file(path: Path | None) -> str | None:
    """The name of a file to be made, for a worker whose folder may be another one.

    Raises `BadInputError` where something is there already, or where no file can be made.
    """
    if path is None:
        return None
    path = path.expanduser().absolute()
    if os.path.lexists(path):
        raise BadInputError(f"{clean(str(path))} is there already: record to a new file")
    try:
        require_writable(path)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise BadInputError(f"cannot record to {clean(str(path))}: {reason}") from error
    return str(path)
