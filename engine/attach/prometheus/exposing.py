"""Series of a Prometheus as the text that a server exposes, so that both are read alike."""

from collections.abc import Iterable
from typing import Final

from .answers import Series
from .queries import BY

ADDED: Final = frozenset({"__name__", BY, "job"})
"""Labels that Prometheus adds, and the name."""


class Exposing:
    """Writes the samples of one server. What names a series is written once: it stays the same from
    one query to the next."""

    def __init__(self) -> None:
        self._heads: dict[bytes, str] = {}

    def text(self, series: Iterable[Series]) -> bytes:
        """The newest sample of each. Raises `QueryError` where labels are none."""
        # Those that are gone are not kept: series that come and go would add up.
        before, self._heads = self._heads, {}
        lines = []
        for each in series:
            head = before.get(each.metric)
            if head is None:
                head = _head(each)
            self._heads[each.metric] = head
            if head and each.points:
                lines.append(f"{head} {each.points[-1][1]!r}\n")
        return "".join(lines).encode()


def _head(series: Series) -> str:
    """The name and the labels; of a series without a name an empty text."""
    labels = series.labels
    name = labels.get("__name__", "")
    own = [f'{label}="{_escaped(value)}"' for label, value in labels.items() if label not in ADDED]
    return name + ("{" + ",".join(own) + "}" if own and name else "")


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
