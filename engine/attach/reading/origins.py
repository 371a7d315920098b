"""Where the figures of a frame come from: filled in while the frame is made."""

from collections.abc import Callable, Sequence

from ...protocol import Figure, Origin
from ..mapping.engine_map import KvSize
from ..mapping.source import AnyLevel, Part, Rate, Times
from .figures import Figures
from .gauges import Told

Sources = Sequence[AnyLevel | Rate | Part | Times]


class Origins:
    """The origins of one frame, made at `now_s`."""

    def __init__(self, figures: Figures, now_s: float) -> None:
        self._figures = figures
        self._now_s = now_s
        self.found: dict[Figure, Origin] = {}

    def value(self, figure: Figure, told: Told | None, sources: Sources) -> float | None:
        """A figure's value, noting where it is from, or why there is none."""
        if told is None:
            self.found[figure] = self._figures.missing(figure, sources)
            return None
        self.told(figure, told.expression, told.at_s)
        return told.value

    def told(self, figure: Figure, expression: str, at_s: float) -> None:
        """A figure is there."""
        self.found[figure] = Origin(expression=expression, age_s=max(0.0, self._now_s - at_s))

    def missing(self, figure: Figure, reason: str) -> None:
        """A figure is not there."""
        self.found[figure] = Origin(missing=reason)

    def read(
        self,
        figure: Figure,
        sources: Sequence[AnyLevel],
        read: Callable[[Sequence[AnyLevel]], Told | None],
    ) -> float | None:
        """A gauge's value, with its origin."""
        return self.value(figure, read(sources), sources)


def size_sources(sizes: Sequence[KvSize]) -> list[AnyLevel]:
    """What the size of a KV cache is read from."""
    return [size.blocks for size in sizes]
