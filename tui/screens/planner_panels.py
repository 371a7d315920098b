"""Which view each panel of the Planner tab draws."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from ..planner.capacity import serve_on
from ..planner.evaluation import Evaluation
from ..planner.exports import attempts
from ..planner.search_state import Layouts
from ..planner.session import Session
from ..views.panel import Room, RowsView
from ..views.planner.breakdown import memory_view, step_view
from ..views.planner.capacity import matrix_view, server_view
from ..views.planner.comparison import comparison_view
from ..views.planner.curves import curve_view
from ..views.planner.decision import decision_view, guide_view
from ..views.planner.exports import engines_view, export_view
from ..views.planner.formulas import detail_view, tree_view
from ..views.planner.layouts import front_view, splits_view, strategies_view
from ..views.planner.summary import summary_view
from ..views.planner.why import why_view
from ..widgets.curve_panel import CurvePanel


@dataclass(frozen=True, slots=True)
class TabContent:
    """What the tab's panels draw from. `targets` are what lies under the cursor of each panel that
    has another beside it; `save_key` is the key that saves an export."""

    session: Session
    evaluation: Evaluation
    targets: Mapping[str, str | None]
    save_key: str

    @property
    def note(self) -> str:
        """Said where the figures are those of an earlier plan."""
        return "as it was before" if self.session.errors else ""

    @property
    def layouts(self) -> Layouts | None:
        """The layouts that the search has found; `None` before."""
        return self.session.searched.layouts if self.session.searched is not None else None


def _detail(tab: TabContent, room: Room) -> RowsView:
    rows, target = tab.session.branches(), tab.targets["tree"]
    chosen = next((row for row in rows if ".".join(map(str, row.path)) == target), rows[0])
    return detail_view(chosen.term, room)


def _export(tab: TabContent, room: Room) -> RowsView:
    every, target = attempts(tab.evaluation.plan), tab.targets["engines"]
    chosen = next((attempt for attempt in every if attempt.engine == target), every[0])
    return export_view(chosen, tab.save_key, room)


def _matrix(tab: TabContent, room: Room) -> RowsView:
    plan = tab.evaluation.plan
    return matrix_view(plan, tab.session.cells(plan), room, tab.note)


def _server(tab: TabContent, room: Room) -> RowsView:
    plan, data = tab.evaluation.plan, tab.session.data
    cells = tab.session.cells(plan)[tab.targets["matrix"] or plan.cluster.gpu.key]
    return server_view(serve_on(plan, data, cells), plan, room)


ROW_VIEWS: Mapping[str, Callable[[TabContent, Room], RowsView]] = {
    "summary": lambda tab, room: summary_view(tab.evaluation, room, tab.note),
    "memory": lambda tab, room: memory_view(tab.evaluation, room, tab.note),
    "step": lambda tab, room: step_view(tab.evaluation, room, tab.note),
    "strategies": lambda tab, room: strategies_view(
        tab.evaluation, tab.session.searched, room, tab.note
    ),
    "layouts": lambda tab, room: splits_view(tab.evaluation, tab.layouts, room, tab.session.doing),
    "front": lambda tab, room: front_view(tab.evaluation, tab.layouts, room),
    "why": lambda tab, room: why_view(tab.layouts, room),
    "decision": lambda tab, room: decision_view(tab.evaluation, room, tab.note),
    "guide": lambda _, room: guide_view(room),
    "tree": lambda tab, room: tree_view(tab.session.branches(), room, tab.session.subject_words),
    "detail": _detail,
    "engines": lambda tab, room: engines_view(attempts(tab.evaluation.plan), room, tab.note),
    "export": _export,
    "matrix": _matrix,
    "server": _server,
    "comparison": lambda tab, room: comparison_view(tab.session.comparison, room, tab.note),
}
"""By panel, in the order in which the tab key goes through them."""

BESIDE = {"tree": "detail", "engines": "export", "matrix": "server"}
"""Panels that show more of what lies under the cursor of another one."""


def show_curves(charts: Iterable[CurvePanel], session: Session) -> None:
    """Draw the charts that are in sight."""
    if session.evaluation is None:
        return
    for chart in charts:
        if chart.id is not None:
            chart.show(
                curve_view(chart.id, session.evaluation, session.searched, growing=session.growing)
            )
