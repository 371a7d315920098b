"""What the Planner tab knows at a time: form, plan, answer, findings, opened formulas.

No screen and no process: the tab tells it what was done and draws what it says.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ...engine.planner.cost.estimate import Estimate
from ...engine.planner.explain.serving import explain_capacity
from ...engine.planner.explain.terms import Term
from ...engine.planner.serving_capacity.prices import Price
from ...engine.protocol import ModelInfo
from .answer import Answer, answer
from .capacity import Cells, capacity_matrix, serve_on
from .fields import SERVED
from .form import Form
from .knowledge import Knowledge, gather
from .layout_texts import layout_texts
from .reading import Plan, Reading, read
from .scenarios import SCENARIOS
from .search_messages import Ask, Found
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
    reading: Reading = field(default_factory=lambda: Reading(None, {}))
    answer: Answer | None = None
    searched: Searched | None = None
    growing: bool = False
    subject: str = YOURS
    opened: frozenset[Path] = frozenset()
    served: ModelInfo | None = None
    own_prices: Mapping[str, Price] = field(default_factory=dict)
    known: Knowledge = field(default_factory=Knowledge)
    _asked: int = 0
    _texts: dict[str, str] = field(default_factory=dict)
    _served_by: tuple[Plan, Knowledge, Cells] | None = None

    def look_up(self) -> None:
        """Read what lies in files: prices and calibrations."""
        self.known = gather(self.known.served, self.own_prices)

    def take_in(self, info: ModelInfo) -> bool:
        """Note the model that is being served; whether the plan is for it and must be made anew."""
        if self.served == info:
            return False
        self.served = info
        self.known = replace(self.known, served=served_shape(info))
        return self.form.current["model"].strip().lower() == SERVED

    def take(self, form: Form) -> bool:
        """Another form; whether it asks for another plan. An answer stays as it was where the form
        holds an error."""
        self.form = form
        reading = read(form.current, self.known, form.touched)
        before, self.reading = self.reading.plan, reading
        if reading.plan is None:
            return False
        self.answer, self._texts = answer(reading.plan), dict(form.current)
        if self.subject == YOURS or before is None:
            self.subject = YOURS
        return True

    def scenario(self, name: str) -> Form:
        return self.form.committed().with_texts(SCENARIOS[name])

    def ask(self) -> Ask | None:
        """The question to the search for the plan that is shown, which the form may have left
        since; earlier findings are dropped. `None` before the first plan."""
        if self.answer is None:
            return None
        self._asked += 1
        self.searched = Searched(self.answer.plan)
        return Ask(
            number=self._asked,
            texts=self._texts,
            served=self.served,
            growing=self.growing,
        )

    def found(self, finding: Found) -> None:
        """One more finding of the newest question."""
        if self.searched is not None and finding.number == self._asked:
            self.searched = self.searched.taking(finding)

    def layout_of(self, target: str) -> Estimate | None:
        """The estimate that a row of a table stands for."""
        if target == YOURS:
            return self.answer.estimate if self.answer is not None else None
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

    def using(self, result: Estimate) -> Form:
        """The form with another layout in it."""
        return self.form.committed().with_texts(layout_texts(result.layout))

    def best(self) -> Estimate | None:
        """The fastest layout that was found to fit."""
        layouts = self.searched.layouts if self.searched is not None else None
        return layouts.splits[0] if layouts is not None and layouts.splits else None

    def cells(self, plan: Plan) -> Cells:
        """What each GPU type serves of a plan's model; worked out once for a plan."""
        kept = self._served_by
        if kept is None or kept[0] is not plan or kept[1] is not self.known:
            self._served_by = kept = (plan, self.known, capacity_matrix(plan, self.known))
        return kept[2]

    @property
    def doing(self) -> str:
        """What is being worked on, in a word or two; empty when all is found."""
        if self.answer is None:
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
        if self.answer is None:
            return ()
        if self.subject.startswith(SERVE):
            return self._serving_trees(self.answer)
        result = self.layout_of(self.subject)
        if result is None:
            self.subject, result = YOURS, self.answer.estimate
        if self.subject == YOURS:
            return every_figure(self.answer)
        return every_figure(replace(self.answer, estimate=result, fixed=(), growing=()))

    def _serving_trees(self, shown: Answer) -> tuple[Term, ...]:
        """The formulas of what a GPU type serves; the plan's own where it cannot."""
        row = self.cells(shown.plan).get(self.subject.removeprefix(SERVE))
        result = serve_on(shown.plan, self.known, row).result if row is not None else None
        return every_figure(shown) if result is None else (explain_capacity(result),)

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
