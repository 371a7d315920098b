"""Plans, and what is found for them, without a process: for tests of the Planner tab."""

import asyncio
from collections.abc import Callable, Iterator

from prodtop.engine.planner.question.question import reference_data
from prodtop.tui.planner.evaluation import Evaluation, evaluate
from prodtop.tui.planner.form import Form
from prodtop.tui.planner.plan import Plan, read_plan
from prodtop.tui.planner.search_messages import (
    ComparisonFound,
    Done,
    Finding,
    LayoutsFound,
    SearchRequest,
)
from prodtop.tui.planner.search_state import Searched
from prodtop.tui.planner.searcher import findings


def plan(**texts: str) -> Plan:
    """The first form with some other texts."""
    return read_plan({**Form.initial().texts, **texts}, reference_data())


def evaluated(**texts: str) -> Evaluation:
    return evaluate(plan(**texts))


def first_findings(request: SearchRequest) -> Iterator[Finding]:
    """Strategies, layouts and what is compared, without the curves, which take seconds."""
    last = ComparisonFound if request.compared else LayoutsFound
    for found in findings(request):
        yield found
        if isinstance(found, last):
            yield Done(number=request.number, seconds=0.0)
            return


def searched(**texts: str) -> Searched:
    """What is found for a plan before its curves."""
    state = Searched(plan(**texts))
    for found in first_findings(SearchRequest(number=1, texts={**Form.initial().texts, **texts})):
        state = state.taking(found)
    return state


class QuickSearch:
    """Stands in for the search process: answers within the loop, without the curves."""

    def __init__(
        self, on_finding: Callable[[Finding], None], on_failed: Callable[[str], None]
    ) -> None:
        self._on_finding = on_finding
        self.on_failed = on_failed
        self.requests: list[SearchRequest] = []

    async def ask(self, request: SearchRequest) -> None:
        self.requests.append(request)
        for found in first_findings(request):
            await asyncio.sleep(0)
            self._on_finding(found)

    async def close(self) -> None:
        """Nothing runs."""
