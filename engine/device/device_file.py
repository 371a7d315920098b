"""A file in which what was found out about each device outlives the process that found it."""

from contextlib import suppress
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from ..files.paths import owned_folder

Found = TypeVar("Found")


class DeviceFile(Generic[Found]):
    """Values by name, for each owner: a device, and what else they depend on."""

    def __init__(
        self, path: Path, decoder: msgspec.json.Decoder[dict[str, dict[str, Found]]]
    ) -> None:
        self._path = path
        self._decoder = decoder

    def read(self, owner: str) -> dict[str, Found]:
        """What is known of `owner`; nothing where there is no readable file."""
        return self._everything().get(owner, {})

    def write(self, owner: str, known: dict[str, Found]) -> None:
        """Put what is known of `owner` beside the others'. Nothing where it cannot be written."""
        everything = self._everything()
        everything[owner] = known
        beside = self._path.with_suffix(".part")
        with suppress(OSError):
            owned_folder(self._path.parent)
            beside.write_bytes(msgspec.json.format(msgspec.json.encode(everything)))
            beside.replace(self._path)

    def _everything(self) -> dict[str, dict[str, Found]]:
        try:
            return self._decoder.decode(self._path.read_bytes())
        except (OSError, msgspec.DecodeError):
            return {}
