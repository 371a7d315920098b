"""Plans, and what is found for them, without a process: for tests of the Planner tab."""

import asyncio
from collections.abc import Callable, Iterator

from prodtop.tui.planner.answer import Answer, answer
from prodtop.tui.planner.form import Form
from prodtop.tui.planner.knowledge import gather
from prodtop.tui.planner.reading import Plan, read
from prodtop.tui.planner.search_messages import Ask, Done, Found, LayoutsFound
from prodtop.tui.planner.search_state import Searched
from prodtop.tui.planner.searcher import findings


def plan(**texts: str) -> Plan:
    """The first form with some other texts."""
    found = read({**Form.initial().texts, **texts}, gather(None, {}))
    assert found.plan is not None, found.errors
    return found.plan


def answered(**texts: str) -> Answer:
    return answer(plan(**texts))


def first_findings(ask: Ask) -> Iterator[Found]:
    """Strategies and layouts, without the curves, which take seconds."""
    for found in findings(ask):
        yield found
        if isinstance(found, LayoutsFound):
            yield Done(number=ask.number, seconds=0.0)
            return


def searched(**texts: str) -> Searched:
    """What is found for a plan before its curves."""
    state = Searched(plan(**texts))
    for found in first_findings(Ask(number=1, texts={**Form.initial().texts, **texts})):
        state = state.taking(found)
    return state


class QuickSearch:
    """Stands in for the search process: answers within the loop, without the curves."""

    def __init__(self, on_found: Callable[[Found], None], on_failed: Callable[[str], None]) -> None:
        self._on_found = on_found
        self.on_failed = on_failed
        self.asked: list[Ask] = []

    async def ask(self, ask: Ask) -> None:
        self.asked.append(ask)
        for found in first_findings(ask):
            await asyncio.sleep(0)
            self._on_found(found)

    async def close(self) -> None:
        """Nothing runs."""
