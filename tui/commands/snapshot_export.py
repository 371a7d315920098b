"""`prodtop snapshot export`: a snapshot as other programs read it."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from ...engine.files.atomic import write_file
from ...engine.protocol.errors import BadInputError, ProdtopError
from ...engine.records.snapshot import Snapshot, load_snapshot
from ...engine.records.snapshot_files import read_picture
from ...engine.text.cleaning import clean, escape_json

PNG_WIDTH = 1600


def _json(_path: Path, snapshot: Snapshot) -> bytes:
    content = msgspec.json.format(msgspec.json.encode(snapshot), indent=1)
    return escape_json(content.decode()).encode() + b"\n"


def _csv(_path: Path, snapshot: Snapshot) -> bytes:
    from ...engine.records.export.snapshot_report import csv_text

    return csv_text(snapshot).encode()


def _md(path: Path, snapshot: Snapshot) -> bytes:
    from ...engine.records.export.snapshot_report import markdown_report

    return markdown_report(clean(path.stem), snapshot).encode()


def _html(path: Path, snapshot: Snapshot) -> bytes:
    from ...engine.records.export.picture import inline_picture
    from ...engine.records.export.snapshot_report import html_report
    from ...engine.records.snapshot import SnapshotError

    try:
        picture = inline_picture(read_picture(path))
    except SnapshotError as error:
        print(f"without the picture of the screen: {error}", file=sys.stderr)
        picture = ""
    return html_report(clean(path.stem), snapshot, picture).encode()


def _svg(path: Path, _snapshot: Snapshot) -> bytes:
    return read_picture(path).encode()


def _png(path: Path, _snapshot: Snapshot) -> bytes:
    picture = read_picture(path)
    try:
        import resvg_py
    except ImportError as error:
        raise ProdtopError(
            "png needs the package resvg-py: pip install 'prodtop[png]', or export svg"
        ) from error
    from ...engine.records.export.picture import inline_picture

    # What it could load from elsewhere is taken out first.
    safe = inline_picture(picture)
    try:
        return bytes(resvg_py.svg_to_bytes(svg_string=safe, width=PNG_WIDTH))
    except ValueError as error:
        raise ProdtopError(f"cannot draw {clean(str(path))}: {clean(str(error))}") from error


FORMATS: Mapping[str, Callable[[Path, Snapshot], bytes]] = {
    "json": _json,
    "csv": _csv,
    "md": _md,
    "html": _html,
    "svg": _svg,
    "png": _png,
}


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
    content = FORMATS[kind](path, load_snapshot(path))
    if out is None:
        print(content.decode(), end="")
        return
    try:
        write_file(out, content, through=True)
    except OSError as error:
        raise ProdtopError(f"cannot write {clean(str(out))}: {error.strerror}") from error
