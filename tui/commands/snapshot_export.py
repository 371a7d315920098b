"""`prodtop snapshot export`: a snapshot as other programs read it."""

from pathlib import Path

from ...engine.files.atomic import write_file
from ...engine.protocol.errors import BadInputError, ProdtopError
from ...engine.records.export.snapshot_formats import FORMATS
from ...engine.text.cleaning import clean


def export_snapshot(path: Path, kind: str | None, out: Path | None) -> None:
    """Write a snapshot to `out`, or to standard output. Without `kind` the name of `out` says it.
    Raises `BadInputError` for an unknown format, `ProdtopError` where it cannot be written."""
    if kind is None:
        ending = "" if out is None else out.suffix.removeprefix(".")
        kind = ending if ending in FORMATS else "md"
    if kind not in FORMATS:
        raise BadInputError(f"unknown format '{clean(kind)}': choose from {', '.join(FORMATS)}")
    if kind == "png" and out is None:
        raise BadInputError("a png is no text: give --out FILE")
    content = FORMATS[kind](path)
    if out is None:
        print(content.decode(), end="")
        return
    try:
        write_file(out, content, through=True)
    except OSError as error:
        raise ProdtopError(f"cannot write {clean(str(out))}: {error.strerror}") from error
