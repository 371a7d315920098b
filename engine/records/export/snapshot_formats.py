"""What a snapshot is exported to: the bytes of each format, from the file and its picture."""

from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from ...protocol.errors import ProdtopError
from ...text.cleaning import clean, escape_json
from ..snapshot import SnapshotError, load_snapshot
from ..snapshot_files import read_picture

PNG_WIDTH = 1600


def _json(path: Path) -> bytes:
    content = msgspec.json.format(msgspec.json.encode(load_snapshot(path)), indent=1)
    return escape_json(content.decode()).encode() + b"\n"


def _csv(path: Path) -> bytes:
    from .snapshot_report import csv_text

    return csv_text(load_snapshot(path)).encode()


def _md(path: Path) -> bytes:
    from .snapshot_report import markdown_report

    return markdown_report(clean(path.stem), load_snapshot(path)).encode()


def _html(path: Path) -> bytes:
    from .picture import inline_picture
    from .snapshot_report import html_report

    try:
        picture = inline_picture(read_picture(path))
    except SnapshotError:
        # The figures are there all the same.
        picture = ""
    return html_report(clean(path.stem), load_snapshot(path), picture).encode()


def _svg(path: Path) -> bytes:
    return read_picture(path).encode()


def _png(path: Path) -> bytes:
    picture = read_picture(path)
    try:
        import resvg_py
    except ImportError as error:
        raise ProdtopError(
            "png needs the package resvg-py: pip install 'prodtop[png]', or export svg"
        ) from error
    from .picture import inline_picture

    try:
        # What it could load from elsewhere is taken out first.
        return bytes(resvg_py.svg_to_bytes(svg_string=inline_picture(picture), width=PNG_WIDTH))
    except ValueError as error:
        raise ProdtopError(f"cannot draw {clean(str(path))}: {clean(str(error))}") from error


FORMATS: Mapping[str, Callable[[Path], bytes]] = {
    "json": _json,
    "csv": _csv,
    "md": _md,
    "html": _html,
    "svg": _svg,
    "png": _png,
}
