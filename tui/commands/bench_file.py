"""The file of `prodtop bench --out`: cells as JSON lines, there only once all are measured."""

from contextlib import suppress
from pathlib import Path

import msgspec

from ...engine.files.atomic import replaced_file, require_writable, write_file
from ...engine.files.new_names import save_new
from ...engine.protocol.errors import BadInputError
from ...engine.text.cleaning import clean

SCHEMA_VERSION = 1
"""Of the lines."""
PARTIAL = ".partial"


def as_object(result: msgspec.Struct) -> dict[str, object]:
    """The fields of a result, without the tag that the protocol needs."""
    fields: dict[str, object] = msgspec.to_builtins(result)
    del fields["type"]
    return fields


class BenchFile:
    """Takes results as they come.

    What is at `path` stays as it is until all cells are measured. Meanwhile they are kept in a file
    beside it, `<name>.partial`, which a bench that is cut off leaves behind. A device or a FIFO
    gets all lines at the end.
    """

    def __init__(self, path: Path) -> None:
        """Raises `BadInputError` where `path` cannot be written: before anything is measured."""
        self._path = path
        self._lines = b""
        self._partial: Path | None = None
        try:
            require_writable(path)
            self._target = replaced_file(path)
        except (OSError, ValueError) as error:
            raise self._error(error) from error

    def add(self, result: msgspec.Struct) -> None:
        """Keep one more result. A partial file that cannot be written is done without."""
        fields = {"schema_version": SCHEMA_VERSION, **as_object(result)}
        self._lines += msgspec.json.encode(fields) + b"\n"
        if self._target is not None:
            with suppress(OSError):
                self._keep(self._target)

    def close(self, *, complete: bool) -> Path | None:
        """Write the file where all is `complete`, or return the partial one, if there is one.

        Raises `BadInputError` where it cannot be written: the partial file stays.
        """
        if complete:
            self._write()
            if self._partial is not None:
                self._partial.unlink(missing_ok=True)
            return None
        if self._target is None and self._lines:
            # What cut the bench off is what there is to say.
            with suppress(BadInputError):
                self._write()
        return self._partial

    def _write(self) -> None:
        try:
            write_file(self._path, self._lines, through=True)
        except OSError as error:
            raise self._error(error) from error

    def _keep(self, target: Path) -> None:
        if self._partial is None:
            name = save_new(target.parent, target.name, {PARTIAL: self._lines})
            self._partial = target.with_name(name + PARTIAL)
        else:
            write_file(self._partial, self._lines)

    def _error(self, error: OSError | ValueError) -> BadInputError:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        kept = "" if self._partial is None else f"; the cells are kept in {self._partial}"
        return BadInputError(f"cannot write --out {clean(str(self._path))}: {reason}{clean(kept)}")
