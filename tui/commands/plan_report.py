"""All that `prodtop plan` works out for one question."""

from dataclasses import dataclass

from ...engine.planner.calibrate.saved import load_saved
from ...engine.planner.cost.estimate import Estimate
from ...engine.planner.explain.verdict import Verdict, verdict_of, with_more_memory
from ...engine.planner.question.question import Question, Reader, ReferenceData, read_question
from ...engine.planner.search.search import SearchResult, search
from ...engine.planner.search.strategies import StrategyResult, best_of_strategies, first_that_fits
from ...engine.shape.field_errors import FieldError
from .plan_options import Texts


@dataclass(frozen=True, kw_only=True)
class Report:
    """A question's search, the textbook strategies, the verdict, and what more would bring.

    origin: which constants were used. more_memory: the next faster layout beyond the limit.
    more_gpus: the search on the smallest larger cluster that fits, where this one does not.
    """

    question: Question
    origin: str
    result: SearchResult
    strategies: tuple[StrategyResult, ...]
    verdict: Verdict | None
    more_memory: Estimate | None
    more_gpus: SearchResult | None

    @property
    def detailed(self) -> Estimate | None:
        """The layout that is broken down: the winner, else the one that needs least memory."""
        return self.result.winner or self.result.leanest


def report_on(texts: Texts) -> Report:
    """Search as texts of `SEARCH_OPTIONS` ask, compare and look beyond the limit.

    Raises:
        QuestionError: a value that cannot be planned with, or no layout is legal; that none fits is
            part of a report.
    """
    reader, saved = Reader(texts), load_saved()
    question = read_question(reader, ReferenceData(prices={}, saved=saved))
    setting, constraints = question.setting, question.constraints
    with reader.blaming_options():
        result = search(setting, constraints)
        if result.leanest is None and result.limiting is not None:
            raise FieldError(result.limiting.field, result.limiting.reason)
        return Report(
            question=question,
            origin=saved.origin(setting.cluster.gpu.key),
            result=result,
            strategies=best_of_strategies(setting, constraints),
            verdict=verdict_of(result),
            more_memory=with_more_memory(result),
            more_gpus=None if result.best else first_that_fits(setting, constraints),
        )
