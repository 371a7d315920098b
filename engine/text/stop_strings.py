"""Stop strings in a text that arrives in pieces."""

from collections.abc import Iterable
from dataclasses import dataclass

from ..protocol.errors import BadInputError


@dataclass(frozen=True, slots=True)
class FilteredText:
    """Text that may be shown now, and whether a stop string was found right after it."""

    text: str
    stopped: bool = False


class StopStringFilter:
    """Lets text through up to the first stop string, in pieces as the text is generated.

    The first is the one that is complete first; of those that end together, the longest. So it
    does not matter how the text was cut into pieces. As many characters are withheld as a stop
    string may still need: `max(len(stop)) - 1`. Without stop strings everything passes.

    Raises BadInputError for an empty stop string.
    """

    def __init__(self, stop_strings: Iterable[str]) -> None:
        self._stops = tuple(stop_strings)
        if "" in self._stops:
            raise BadInputError("a stop string is empty: give it at least one character")
        self._most_withheld = max(map(len, self._stops), default=1) - 1
        self._withheld = ""
        self._stopped = False

    def push(self, text: str) -> FilteredText:
        """Take in the next piece; after a stop string, nothing passes any more."""
        if self._stopped:
            return FilteredText("", stopped=True)
        pending = self._withheld + text
        start = self._first_stop(pending)
        if start is not None:
            self._withheld = ""
            self._stopped = True
            return FilteredText(pending[:start], stopped=True)
        cut = max(len(pending) - self._most_withheld, 0)
        self._withheld = pending[cut:]
        return FilteredText(pending[:cut])

    def flush(self) -> str:
        """The text still withheld, when the sequence ended for another reason."""
        withheld, self._withheld = self._withheld, ""
        return withheld

    def _first_stop(self, text: str) -> int | None:
        """Where the first stop string starts in `text`."""
        ends = [
            (start + len(stop), start) for stop in self._stops if (start := text.find(stop)) >= 0
        ]
        return min(ends)[1] if ends else None
