"""The area of the panels: places them by a function that is asked anew for every size."""

from collections.abc import Callable, Mapping

from textual.containers import Container
from textual.geometry import Offset, Region, Size, Spacing
from textual.layout import ArrangeResult, Layout, WidgetPlacement
from textual.widget import Widget

PlacePanels = Callable[[int, int], Mapping[str, Region]]
"""From a width and a height to the region of each widget, by id."""


class PlacedLayout(Layout):
    """Puts each child where the function says."""

    name = "placed"

    def __init__(self, place: PlacePanels) -> None:
        self._place = place

    def arrange(
        self, parent: Widget, children: list[Widget], size: Size, greedy: bool = True
    ) -> ArrangeResult:
        regions = self._place(size.width, size.height)
        nothing = Spacing(0, 0, 0, 0)
        return [
            WidgetPlacement(regions[child.id], Offset(0, 0), nothing, child)
            for child in children
            if child.id is not None and child.id in regions
        ]


class Board(Container):
    """Shows the panels that `place` has a region for, and hides the others."""

    DEFAULT_CSS = """
    Board { height: 1fr; width: 1fr; overflow: hidden hidden; }
    """

    def __init__(self, *panels: Widget, place: PlacePanels) -> None:
        super().__init__(*panels)
        self._place = place
        self._layout = PlacedLayout(place)

    @property
    def layout(self) -> Layout:
        return self._layout

    def rearrange(self) -> None:
        """Place the panels anew: what their places depend on has changed."""
        regions = self._place(self.size.width, self.size.height)
        for child in self.children:
            child.display = child.id in regions
            # A container keeps an arrangement until one of its children asks for another.
            child.refresh(layout=True)

    def on_resize(self) -> None:
        self.rearrange()
