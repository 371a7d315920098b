"""A file in which what was measured of each device outlives the process that measured it."""

from contextlib import suppress
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from ..files.atomic import write_file
from ..files.bounded import read_bounded
from ..files.paths import locked, owned_folder
from ..protocol.errors import CheckpointError

Measured = TypeVar("Measured")

_LARGEST_BYTES = 16 << 20


class DeviceFile(Generic[Measured]):
    """Values by name, for each owner: a device, and what else they depend on."""

    def __init__(
        self, path: Path, decoder: msgspec.json.Decoder[dict[str, dict[str, Measured]]]
    ) -> None:
        self._path = path
        self._decoder = decoder

    def read(self, owner: str) -> dict[str, Measured]:
        """The values of `owner`; none where there is no readable file."""
        return self._everything().get(owner, {})

    def write(self, owner: str, values: dict[str, Measured]) -> None:
        """Put the values of `owner` beside the others'. Nothing where it cannot be written."""
        with suppress(OSError), locked(owned_folder(self._path.parent)):
            everything = {**self._everything(), owner: values}
            write_file(self._path, msgspec.json.format(msgspec.json.encode(everything)))

    def _everything(self) -> dict[str, dict[str, Measured]]:
        try:
            return self._decoder.decode(read_bounded(self._path, _LARGEST_BYTES))
        # A broken file is measured anew, and written over.
        except (OSError, CheckpointError, msgspec.DecodeError, ValueError, RecursionError):
            return {}
