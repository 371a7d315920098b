"""The files of `prodtop compare`: what it keeps, what it reads, and what it exports."""

from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from ...engine.compare.cells import Comparison
from ...engine.compare.html_report import Report, html_report
from ...engine.compare.json_report import json_report
from ...engine.compare.kept import decode, encode
from ...engine.compare.samples import Limits
from ...engine.compare.tables import csv_text, curve_words, markdown, markdown_text
from ...engine.files.atomic import replaced_file, require_writable, write_file, write_files
from ...engine.files.bounded import read_bounded
from ...engine.protocol.errors import BadInputError, ProdtopError
from ...engine.text.cleaning import clean
from .compare_output import recommendation_lines

_LARGEST = 1 << 30
"""Bytes of a file of results; a million requests take a fifth of it."""

_Exporter = Callable[[Report, Limits], str]

EXPORTERS: Mapping[str, _Exporter] = {
    ".csv": lambda report, limits: csv_text(report.matrix),
    ".json": lambda report, limits: _json(report, limits),
    ".md": lambda report, limits: _markdown(report),
    ".html": lambda report, limits: html_report(report),
}
"""What writes a report, by the suffix of the file."""


def _json(report: Report, limits: Limits) -> str:
    found = msgspec.json.encode(json_report(report, limits=limits))
    return msgspec.json.format(found).decode() + "\n"


def _markdown(report: Report) -> str:
    """The matrix, and what it says."""
    lines = [each.text for each in report.insights]
    lines += (curve_words(curve) for curve in report.curves)
    if report.recommendation is not None:
        lines += recommendation_lines(report.recommendation)
    lines += (each.text for each in report.judgements)
    return markdown(report.matrix) + "\n" + "".join(f"- {markdown_text(line)}\n" for line in lines)


def read_lines(path: Path, option: str) -> bytes:
    """The bytes of a file that an option names. Raises `BadInputError` where it cannot be read."""
    try:
        return read_bounded(path, _LARGEST)
    except FileNotFoundError:
        raise BadInputError(f"{option} {clean(str(path))}: there is no such file") from None
    except ProdtopError as error:
        raise BadInputError(f"{option} {error}") from error


def read_comparison(path: Path, option: str) -> Comparison:
    """What `--out` kept. Raises `BadInputError`."""
    return decode(read_lines(path, option), f"{option} {clean(str(path))}")


class KeptFile:
    """The file of `--out`: rewritten whole after each result, so that nothing measured is lost.

    An earlier comparison there is only replaced by one that goes on with it. A device or a FIFO
    gets all lines at the end.
    """

    def __init__(self, path: Path, *, resume: bool) -> None:
        """Raises `BadInputError` where `path` cannot be written, or holds what would be lost."""
        self._path = path
        try:
            require_writable(path)
            self._target = replaced_file(path)
        except (OSError, ValueError) as error:
            raise self._error(error) from error
        exists = self._target is not None and path.exists() and path.stat().st_size > 0
        if exists and not resume:
            raise BadInputError(
                f"--out {clean(str(path))} exists: --resume goes on with it, or give another name"
            )
        self.kept = read_comparison(path, "--out") if exists else None

    def keep(self, comparison: Comparison) -> None:
        """Write what there is by now. Raises `BadInputError`."""
        if self._target is not None:
            self._write(comparison)

    def close(self, comparison: Comparison) -> None:
        """Write what there is at the end. Raises `BadInputError`."""
        self._write(comparison)

    def _write(self, comparison: Comparison) -> None:
        try:
            write_file(self._path, encode(comparison), through=True)
        except OSError as error:
            raise self._error(error) from error

    def _error(self, error: OSError | ValueError) -> BadInputError:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        return BadInputError(f"cannot write --out {clean(str(self._path))}: {reason}")


def check_exports(paths: list[Path]) -> None:
    """Raise `BadInputError` for a file that cannot be written: before anything is measured."""
    for path in paths:
        if path.suffix.lower() not in EXPORTERS:
            raise BadInputError(
                f"--export {clean(str(path))}: the name says the format: {', '.join(EXPORTERS)}"
            )
        try:
            require_writable(path)
        except (OSError, ValueError) as error:
            raise _export_error(path, error) from error


def write_exports(paths: list[Path], report: Report, limits: Limits) -> None:
    """Write all of them, or none. Raises `BadInputError`."""
    contents = {path: EXPORTERS[path.suffix.lower()](report, limits).encode() for path in paths}
    try:
        write_files(contents, through=True)
    except OSError as error:
        raise _export_error(Path(str(error.filename or paths[0])), error) from error


def _export_error(path: Path, error: OSError | ValueError) -> BadInputError:
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return BadInputError(f"cannot write --export {clean(str(path))}: {reason}")
