"""All that `prodtop plan` works out for one question."""

from dataclasses import dataclass

from ...engine.planner.cost.estimate import Estimate
from ...engine.planner.explain.verdict import Verdict, verdict_of, with_more_memory
from ...engine.planner.search.growth import first_that_fits
from ...engine.planner.search.search import SearchResult, search
from ...engine.planner.search.strategies import StrategyResult, best_of_strategies
from ...engine.shape.field_errors import FieldError
from .plan_question import Question, refusal


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A question's search, the textbook strategies, the verdict, and what more would bring.

    more_memory: the next faster layout beyond the limit. more_gpus: the search on the smallest
    larger cluster that fits, where this one does not.
    """

    question: Question
    result: SearchResult
    strategies: tuple[StrategyResult, ...]
    verdict: Verdict | None
    more_memory: Estimate | None
    more_gpus: SearchResult | None

    @property
    def shown(self) -> Estimate | None:
        """What is broken down: the winner, else the layout that needs least memory."""
        return self.result.winner or self.result.leanest


def answer(question: Question) -> Answer:
    """Search, compare and look beyond the limit.

    Raises:
        BadInputError: no layout is legal; that none fits is an answer.
    """
    setting, constraints = question.setting, question.constraints
    try:
        result = search(setting, constraints)
    except FieldError as error:
        raise refusal(error) from error
    if result.leanest is None and result.limiting is not None:
        raise refusal(result.limiting)
    return Answer(
        question=question,
        result=result,
        strategies=best_of_strategies(setting, constraints),
        verdict=verdict_of(result),
        more_memory=with_more_memory(result),
        more_gpus=None if result.best else first_that_fits(setting, constraints),
    )
