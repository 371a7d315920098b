"""Typed reading of the JSON files of a model folder, with errors that name file and field."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from reprlib import Repr
from typing import TypeVar

from ..protocol.errors import CheckpointError
from .bounded import read_bounded

_LARGEST_FILE = 64 << 20
"""Bytes. An index of the largest published models has 10 MiB."""

_SHORT = Repr()
"""Shows a wrong value in an error of one line, whatever its length."""
_SHORT.maxstring = _SHORT.maxother = 60

_LARGEST_NUMBER = 2.0**53
"""Up to here every integer is exact as a float."""

Value = TypeVar("Value")


def read_json(path: Path) -> dict[str, object]:
    """The JSON object in the file `path`, with a byte order mark or without.

    Raises:
        CheckpointError: no such file, none that is regular, or no JSON object in it.
    """
    try:
        value = json.loads(read_bounded(path, _LARGEST_FILE).decode("utf-8-sig"))
    except FileNotFoundError:
        raise CheckpointError(f"{path.parent} has no {path.name}: not a model folder") from None
    # Beside malformed text: numbers of too many digits, and lists nested too deeply.
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: cannot be read: {error}") from error
    if not isinstance(value, dict):
        raise CheckpointError(f"{path}: must hold a JSON object")
    return value


class Fields:
    """Typed access to a JSON object from `source`. Another type raises `CheckpointError`.

    A field that is missing or null has its value from `defaults`, or else the one that the call
    names. Every method raises `CheckpointError`, which names source and field, where a value is of
    another kind or there is none.
    """

    def __init__(
        self,
        values: Mapping[str, object],
        source: str,
        defaults: Mapping[str, object] | None = None,
    ) -> None:
        self._values = values
        self._defaults = defaults or {}
        self.source = source

    def get(self, name: str) -> object:
        """The value as it is; `None` where there is none."""
        value = self._values.get(name)
        return self._defaults.get(name) if value is None else value

    def names(self) -> list[str]:
        """The fields that are written down, in their order."""
        return list(self._values)

    def has(self, name: str) -> bool:
        """Whether there is a value, a default included."""
        return self.get(name) is not None

    def number(self, name: str, default: float | None = None) -> float:
        """A finite number, up to 2^53 in magnitude. Raises `CheckpointError`."""
        value = self.get(name)
        if value is None:
            value = default
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.error(f"`{name}` must be a number, found {_SHORT.repr(value)}")
        if not abs(value) < _LARGEST_NUMBER:
            raise self.error(f"`{name}` is too large or not finite")
        return float(value)

    def positive(self, name: str, default: float | None = None) -> float:
        """A number above 0. Raises `CheckpointError`."""
        value = self.number(name, default)
        if not value > 0:
            raise self.error(f"`{name}` must be above 0, found {value:g}")
        return value

    def count(self, name: str, default: int | None = None, most: float = math.inf) -> int:
        """A whole number from 1 to `most`. Raises `CheckpointError`."""
        value = self.number(name, default)
        if value < 1 or value != int(value):
            raise self.error(f"`{name}` must be a positive integer")
        if value > most:
            raise self.error(f"`{name}` must be {most} at most, found {value:.0f}")
        return int(value)

    def is_null(self, name: str) -> bool:
        """Whether a null is written down."""
        return name in self._values and self._values[name] is None

    def explicit_count(self, name: str) -> int | None:
        """As `count`, but a null that is written down means none, whatever the default."""
        return None if self.is_null(name) or not self.has(name) else self.count(name)

    def flag(self, name: str, default: bool = False) -> bool:
        """A boolean."""
        return self._typed(name, bool, "true or false", default)

    def text(self, name: str, default: str) -> str:
        """A text."""
        return self._typed(name, str, "a text", default)

    def numbers(self, name: str) -> tuple[float, ...]:
        """A list of numbers above 0. Raises `CheckpointError`."""
        values = self.get(name)
        if not isinstance(values, list):
            raise self.error(f"`{name}` must be a list of numbers, found {values!r}")
        numbered = Fields({str(n): value for n, value in enumerate(values)}, self.source)
        return tuple(numbered.positive(str(n)) for n in range(len(values)))

    def texts(self, name: str) -> list[str] | None:
        """A list of texts; `None` where there is none. Raises `CheckpointError`."""
        values = self.get(name)
        if values is None:
            return None
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            raise self.error(f"`{name}` must be a list of texts")
        return [str(value) for value in values]

    def updated(self, other: "Fields") -> "Fields":
        """These fields, with those of `other` over them."""
        return Fields({**self._values, **other._values}, self.source, self._defaults)

    def table(self, name: str) -> "Fields":
        """A nested object; empty where there is none. Raises `CheckpointError`."""
        value = self.get(name) or {}
        if not isinstance(value, dict):
            raise self.error(f"`{name}` must be a table")
        return Fields(value, self.source)

    def _typed(self, name: str, kind: type[Value], words: str, default: Value) -> Value:
        value = self.get(name)
        if value is None:
            return default
        if not isinstance(value, kind):
            raise self.error(f"`{name}` must be {words}, found {_SHORT.repr(value)}")
        return value

    def __bool__(self) -> bool:
        return bool(self._values)

    def error(self, what: str) -> CheckpointError:
        """The error that says `what` of this object, for the caller to raise."""
        return CheckpointError(f"{self.source}: {what}")
