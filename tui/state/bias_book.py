"""The indicator of bias that is kept for a model, as the screen reads it."""

from typing import TYPE_CHECKING

from ...engine.files.changed import ReadWhenChanged

if TYPE_CHECKING:
    from ...engine.server.guards.bias_file import KeptBias


class BiasBook:
    """Reads a model's file when it has changed: what another process measures comes into sight."""

    def __init__(self) -> None:
        self._file: ReadWhenChanged[KeptBias | None] = ReadWhenChanged()

    def look(self, model: str) -> "KeptBias | None":
        """The last indicator of a model; `None` where none was measured, or it cannot be read."""
        # Here and not above: the first frame need not wait.
        from ...engine.server.guards.bias_file import bias_file, load_bias

        return self._file.look(bias_file(model), lambda: load_bias(model))
