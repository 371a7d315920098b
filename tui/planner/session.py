"""What the Planner tab knows at a time: form, evaluation, findings, opened formulas.

No screen and no process: the tab tells it what was done and draws what it says.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ...engine.planner.cost.estimate import Estimate
from ...engine.planner.explain.serving import explain_capacity
from ...engine.planner.explain.terms import Term
from ...engine.planner.question.parsers import SERVED
from ...engine.planner.question.question import QuestionError, ReferenceData, reference_data
from ...engine.planner.serving_capacity.prices import Price
from ...engine.protocol import ModelInfo
from .capacity import Cells, capacity_matrix, serve_on
from .evaluation import Evaluation, evaluate
from .form import SCENARIOS, Form
from .plan import Plan, layout_texts, read_plan
from .search_messages import Finding, SearchRequest
from .search_state import Searched
from .served import served_shape
from .tree import Branch, Path, ancestors, branches, every_figure, path_to

YOURS = "yours"
SERVE = "serve:"
"""Before the key of a GPU type that serves the model."""


@dataclass(slots=True)
class Session:
    """The state of the tab. `subject` is the layout whose formulas are shown: `yours` or a row."""

    form: Form = field(default_factory=Form.initial)
    errors: Mapping[str, str] = field(default_factory=dict)
    evaluation: Evaluation | None = None
    searched: Searched | None = None
    growing: bool = False
    subject: str = YOURS
    opened: frozenset[Path] = frozenset()
    served: ModelInfo | None = None
    own_prices: Mapping[str, Price] = field(default_factory=dict)
    data: ReferenceData = field(default_factory=ReferenceData)
    _requests: int = 0
    _texts: dict[str, str] = field(default_factory=dict)
    _served_by: tuple[Plan, ReferenceData, Cells] | None = None

    def look_up(self) -> None:
        """Read what lies in files: prices and calibrations."""
        self.data = reference_data(self.data.served, self.own_prices)

    def take_in(self, info: ModelInfo) -> bool:
        """Note the model that is being served; whether the plan is for it and must be made anew."""
        if self.served == info:
            return False
        self.served = info
        self.data = replace(self.data, served=served_shape(info))
        return self.form.current["model"].strip().lower() == SERVED

    def take(self, form: Form) -> bool:
        """Another form; whether it asks for another plan. The evaluation stays as it was where the
        form holds an error."""
        self.form = form
        was_wrong = bool(self.errors) or self.evaluation is None
        try:
            plan = read_plan(form.current, self.data, form.touched)
        except QuestionError as error:
            self.errors = error.reasons
            return False
        self.errors, self.evaluation, self._texts = {}, evaluate(plan), dict(form.current)
        if was_wrong:
            self.subject = YOURS
        return True

    def scenario(self, name: str) -> Form:
        return self.form.committed().with_texts(SCENARIOS[name])

    def request(self, *, compared: bool = False) -> SearchRequest | None:
        """The request to search for the plan that is shown, which the form may have left since;
        earlier findings are dropped. `None` before the first plan."""
        if self.evaluation is None:
            return None
        self._requests += 1
        self.searched = Searched(self.evaluation.plan)
        return SearchRequest(
            number=self._requests,
            texts=self._texts,
            served=self.served,
            growing=self.growing,
            compared=compared,
        )

    def add(self, finding: Finding) -> None:
        """One more finding for the newest request."""
        if self.searched is not None and finding.number == self._requests:
            self.searched = self.searched.taking(finding)

    def layout_of(self, target: str) -> Estimate | None:
        """The estimate that a row of a table stands for."""
        if target == YOURS:
            return self.evaluation.estimate if self.evaluation is not None else None
        if self.searched is None:
            return None
        kind, _, name = target.partition(":")
        if kind == "strategy":
            candidate = self.searched.strategies.get(name)
            return candidate.estimate if candidate is not None else None
        layouts = self.searched.layouts
        if layouts is None:
            return None
        if kind == "faster":
            return layouts.faster
        every = layouts.splits if kind == "split" else layouts.front
        return every[int(name)] if int(name) < len(every) else None

    @property
    def comparison(self) -> tuple[str, ...] | None:
        """The lines of the comparison; `None` before it is found."""
        return None if self.searched is None else self.searched.comparison

    def using(self, result: Estimate) -> Form:
        """The form with another layout in it."""
        return self.form.committed().with_texts(layout_texts(result.layout))

    def best(self) -> Estimate | None:
        """The fastest layout that was found to fit."""
        layouts = self.searched.layouts if self.searched is not None else None
        return layouts.splits[0] if layouts is not None and layouts.splits else None

    def cells(self, plan: Plan) -> Cells:
        """What each GPU type serves of a plan's model; worked out once for a plan."""
        last = self._served_by
        if last is None or last[0] is not plan or last[1] is not self.data:
            self._served_by = last = (plan, self.data, capacity_matrix(plan, self.data))
        return last[2]

    @property
    def doing(self) -> str:
        """What is being worked on, in a word or two; empty when all is found."""
        if self.evaluation is None:
            return ""
        if self.searched is None or self.searched.layouts is None:
            return "searching"
        return "" if self.searched.done_s is not None else "searching the curves"

    # Formulas

    @property
    def subject_words(self) -> str:
        """Whose formulas are shown, where it is not the form's own layout."""
        if self.subject.startswith(SERVE):
            return f"serving on {self.subject.removeprefix(SERVE)}"
        result = self.layout_of(self.subject) if self.subject != YOURS else None
        return "" if result is None else result.layout.shorthand

    def trees(self) -> tuple[Term, ...]:
        """The formulas of the subject's figures."""
        if self.evaluation is None:
            return ()
        if self.subject.startswith(SERVE):
            return self._serving_trees(self.evaluation)
        result = self.layout_of(self.subject)
        if result is None:
            self.subject, result = YOURS, self.evaluation.estimate
        if self.subject == YOURS:
            return every_figure(self.evaluation)
        return every_figure(replace(self.evaluation, estimate=result, fixed=(), growing=()))

    def _serving_trees(self, evaluation: Evaluation) -> tuple[Term, ...]:
        """The formulas of what a GPU type serves; the plan's own where it cannot."""
        row = self.cells(evaluation.plan).get(self.subject.removeprefix(SERVE))
        result = serve_on(evaluation.plan, self.data, row).result if row is not None else None
        return every_figure(evaluation) if result is None else (explain_capacity(result),)

    def branches(self) -> list[Branch]:
        """The visible rows of the formula trees."""
        return branches(self.trees(), self.opened)

    def open_figure(self, subject: str, figure: str | None) -> int:
        """Open one figure of a layout; returns the row it stands in."""
        self.subject, self.opened = subject, frozenset()
        if figure is None:
            self.opened = frozenset({(0,)})
            return 0
        path = path_to(self.trees(), figure)
        self.opened = ancestors(path) | {path}
        return next(i for i, row in enumerate(self.branches()) if row.path == path)

    def toggle(self, target: str) -> None:
        """Show a term's parts, or hide them."""
        path = tuple(map(int, target.split(".")))
        self.opened = self.opened ^ {path}
