"""Typed access to a GGUF file's metadata that remembers which keys were of use."""

from collections.abc import Mapping, Sequence

from ...files.json_fields import Fields
from ...text.cleaning import clean

_DESCRIPTIONS = "general."
"""Keys that say who made a file and how, and nothing that is computed with."""

_NAMED = 12
"""How many names a note lists before it counts the rest."""


class Metadata(Fields):
    """Fields of a GGUF file: each that is asked for by name counts as used."""

    def __init__(self, values: Mapping[str, object], source: str) -> None:
        super().__init__(values, source)
        self._used: set[str] = set()

    def get(self, name: str) -> object:
        """The value as it is; `None` where there is none."""
        self._used.add(name)
        return super().get(name)

    def integers(self, name: str) -> list[int] | None:
        """A list of whole numbers; `None` where there is none. Raises `CheckpointError`."""
        values = self.get(name)
        if values is None:
            return None
        if not isinstance(values, list):
            raise self.error(f"`{name}` must be a list of whole numbers")
        numbers = [each for each in values if isinstance(each, int) and not isinstance(each, bool)]
        if len(numbers) != len(values):
            raise self.error(f"`{name}` must be a list of whole numbers")
        return numbers

    def floats(self, name: str) -> list[float] | None:
        """A list of floats; `None` where there is none. Raises `CheckpointError`."""
        values = self.get(name)
        if values is None:
            return None
        if not isinstance(values, list):
            raise self.error(f"`{name}` must be a list of numbers")
        numbers = [each for each in values if isinstance(each, float)]
        if len(numbers) != len(values):
            raise self.error(f"`{name}` must be a list of numbers")
        return numbers

    def unused_note(self) -> list[str]:
        """A note of the keys that nothing asked for, if there are any."""
        unused = [
            clean(name)[:60]
            for name in self.names()
            if name not in self._used and not name.startswith(_DESCRIPTIONS)
        ]
        return [f"not used: {listed(unused)}"] if unused else []


def listed(names: Sequence[str]) -> str:
    """The first names, and how many there are beyond."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
