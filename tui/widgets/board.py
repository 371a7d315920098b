"""The area of the panels: lays them out after a plan that is computed anew for every size."""

from collections.abc import Callable, Mapping

from textual.containers import Container
from textual.geometry import Offset, Region, Size, Spacing
from textual.layout import ArrangeResult, Layout, WidgetPlacement
from textual.widget import Widget

Plan = Callable[[int, int], Mapping[str, Region]]
"""From a width and a height to the region of each widget, by id."""


class PlannedLayout(Layout):
    """Puts each child where the plan says."""

    name = "planned"

    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    def arrange(
        self, parent: Widget, children: list[Widget], size: Size, greedy: bool = True
    ) -> ArrangeResult:
        regions = self._plan(size.width, size.height)
        nothing = Spacing(0, 0, 0, 0)
        return [
            WidgetPlacement(regions[child.id], Offset(0, 0), nothing, child)
            for child in children
            if child.id is not None and child.id in regions
        ]


class Board(Container):
    """Shows the panels that the plan has a place for, and hides the others."""

    DEFAULT_CSS = """
    Board { height: 1fr; width: 1fr; overflow: hidden hidden; }
    """

    def __init__(self, *panels: Widget, plan: Plan) -> None:
        super().__init__(*panels)
        self._plan = plan
        self._layout = PlannedLayout(plan)

    @property
    def layout(self) -> Layout:
        return self._layout

    def replan(self) -> None:
        """Lay out anew: the plan, or what it depends on, has changed."""
        shown = self._plan(self.size.width, self.size.height)
        for child in self.children:
            child.display = child.id in shown
        self.refresh(layout=True)

    def on_resize(self) -> None:
        self.replan()
