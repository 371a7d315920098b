"""The indicator of bias that is kept for a model, as the screen reads it."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...engine.server.guards.bias_file import KeptBias

_NEVER_READ = (-1, -1)
_NO_FILE = (0, 0)


class BiasBook:
    """Reads a model's file when it has changed: what another process measures comes into sight."""

    def __init__(self) -> None:
        self._model = ""
        self._kept: KeptBias | None = None
        self._seen = _NEVER_READ
        """Time and size of the file when it was read."""

    def look(self, model: str) -> "KeptBias | None":
        """The last indicator of a model; `None` where none was measured, or it cannot be read."""
        # Here and not above: the first frame need not wait.
        from ...engine.server.guards.bias_file import bias_file, load_bias

        try:
            status = bias_file(model).stat()
            seen = (status.st_mtime_ns, status.st_size)
        except OSError:
            seen = _NO_FILE
        if (model, seen) != (self._model, self._seen):
            self._kept = None if seen == _NO_FILE else load_bias(model)
            self._model, self._seen = model, seen
        return self._kept
