"""Stop strings: a text passes up to the first of them, in pieces, as it is generated."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from ..protocol.errors import BadInputError


@dataclass(frozen=True, slots=True)
class FilteredText:
    """Text that may be shown now, and whether a stop string was found right after it: `stop`."""

    text: str
    stopped: bool = False
    stop: str | None = field(default=None, compare=False)


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
        self._found: str | None = None

    def push(self, text: str) -> FilteredText:
        """Take in the next piece; after a stop string, nothing passes any more."""
        if self._found is not None:
            return FilteredText("", stopped=True, stop=self._found)
        pending = self._withheld + text
        found = self._first_stop(pending)
        if found is not None:
            start, self._found = found
            self._withheld = ""
            return FilteredText(pending[:start], stopped=True, stop=self._found)
        cut = max(len(pending) - self._most_withheld, 0)
        self._withheld = pending[cut:]
        return FilteredText(pending[:cut])

    def flush(self) -> str:
        """The text still withheld, when the sequence ended for another reason."""
        withheld, self._withheld = self._withheld, ""
        return withheld

    def _first_stop(self, text: str) -> tuple[int, str] | None:
        """Where the first stop string starts in `text`, and which it is."""
        ends = [
            (start + len(stop), start, stop)
            for stop in self._stops
            if (start := text.find(stop)) >= 0
        ]
        return min(ends)[1:] if ends else None
