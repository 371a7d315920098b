"""Which view each panel of the Planner tab draws."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from ..planner.capacity import serve_on
from ..planner.evaluation import Evaluation
from ..planner.exports import attempts
from ..planner.session import Session
from ..views.panel import Room
from ..views.planner.bars import memory_view, step_view
from ..views.planner.capacity import matrix_view, server_view
from ..views.planner.curves import curve_view
from ..views.planner.decision import decision_view, guide_view
from ..views.planner.exports import engines_view, export_view
from ..views.planner.formulas import detail_view, tree_view
from ..views.planner.layouts import front_view, splits_view, strategies_view
from ..views.planner.summary import summary_view
from ..views.planner.why import why_view
from ..views.rows import RowsView
from ..widgets.curve_panel import CurvePanel


@dataclass(frozen=True, slots=True)
class Shown:
    """What a panel draws from. `targets` are what lies under the cursors of the panels beside it;
    `save_key` is the key that saves an export."""

    session: Session
    evaluation: Evaluation
    targets: Mapping[str, str | None]
    save_key: str

    @property
    def note(self) -> str:
        """Said where the figures are those of an earlier plan."""
        return "as it was before" if self.session.errors else ""


def _strategies(shown: Shown, room: Room) -> RowsView:
    return strategies_view(shown.evaluation, shown.session.searched, room, shown.note)


def _layouts(shown: Shown, room: Room) -> RowsView:
    searched = shown.session.searched
    layouts = searched.layouts if searched is not None else None
    return splits_view(shown.evaluation, layouts, room, shown.session.doing)


def _front(shown: Shown, room: Room) -> RowsView:
    searched = shown.session.searched
    return front_view(shown.evaluation, searched.layouts if searched is not None else None, room)


def _why(shown: Shown, room: Room) -> RowsView:
    searched = shown.session.searched
    return why_view(searched.layouts if searched is not None else None, room)


def _tree(shown: Shown, room: Room) -> RowsView:
    session = shown.session
    return tree_view(session.branches(), room, session.subject_words)


def _detail(shown: Shown, room: Room) -> RowsView:
    rows = shown.session.branches()
    at = shown.targets["tree"]
    chosen = next((row for row in rows if ".".join(map(str, row.path)) == at), rows[0])
    return detail_view(chosen.term, room)


def _engines(shown: Shown, room: Room) -> RowsView:
    return engines_view(attempts(shown.evaluation.plan), room, shown.note)


def _export(shown: Shown, room: Room) -> RowsView:
    every = attempts(shown.evaluation.plan)
    chosen = next((one for one in every if one.engine == shown.targets["engines"]), every[0])
    return export_view(chosen, shown.save_key, room)


def _matrix(shown: Shown, room: Room) -> RowsView:
    plan = shown.evaluation.plan
    return matrix_view(plan, shown.session.cells(plan), room, shown.note)


def _server(shown: Shown, room: Room) -> RowsView:
    plan, data = shown.evaluation.plan, shown.session.data
    cells = shown.session.cells(plan)
    key = shown.targets["matrix"] or plan.cluster.gpu.key
    return server_view(serve_on(plan, data, cells[key]), plan, room)


ROW_VIEWS: Mapping[str, Callable[[Shown, Room], RowsView]] = {
    "summary": lambda shown, room: summary_view(shown.evaluation, room, shown.note),
    "memory": lambda shown, room: memory_view(shown.evaluation, room, shown.note),
    "step": lambda shown, room: step_view(shown.evaluation, room, shown.note),
    "strategies": _strategies,
    "layouts": _layouts,
    "front": _front,
    "why": _why,
    "decision": lambda shown, room: decision_view(shown.evaluation, room, shown.note),
    "guide": lambda _, room: guide_view(room),
    "tree": _tree,
    "detail": _detail,
    "engines": _engines,
    "export": _export,
    "matrix": _matrix,
    "server": _server,
}
"""By panel, in the order in which the tab key goes through them."""

BESIDE = {"tree": "detail", "engines": "export", "matrix": "server"}
"""Panels that show more of what lies under the cursor of another one."""


def row_view(name: str, shown: Shown, room: Room) -> RowsView:
    """What a panel of rows says."""
    return ROW_VIEWS[name](shown, room)


def show_curves(charts: Iterable[CurvePanel], session: Session) -> None:
    """Draw the charts that are in sight."""
    if session.evaluation is None:
        return
    for chart in charts:
        if chart.id is not None:
            chart.show(
                curve_view(chart.id, session.evaluation, session.searched, growing=session.growing)
            )
