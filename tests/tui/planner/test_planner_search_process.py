"""The search process: answers part by part, drops old questions, and ends with its screen."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from planner_cases import plan
from prodtop.engine.planner.cost.hardware import known_gpus
from prodtop.tui.planner.form import Form
from prodtop.tui.planner.search_client import SearchClient
from prodtop.tui.planner.search_messages import (
    ComparisonFound,
    Done,
    Finding,
    LayoutsFound,
    PointFound,
    SearchRequest,
)
from prodtop.tui.planner.searcher import constraints_of, findings

DEADLINE_S = 60.0
TEXTS = dict(Form.initial().texts)


class Listener:
    """Notes what is found, and wakes who waits for it."""

    def __init__(self) -> None:
        self.found: list[Finding] = []
        self.failed: list[str] = []
        self._news = asyncio.Event()

    def take(self, found: Finding) -> None:
        self.found.append(found)
        self._news.set()

    def fail(self, text: str) -> None:
        self.failed.append(text)
        self._news.set()

    async def until(self, kind: type[Finding], number: int) -> Finding:
        """The first finding of a kind that answers a question."""
        async with asyncio.timeout(DEADLINE_S):
            while True:
                for found in self.found:
                    if isinstance(found, kind) and found.number == number:
                        return found
                self._news.clear()
                await self._news.wait()


@asynccontextmanager
async def searching() -> AsyncIterator[tuple[SearchClient, Listener]]:
    listener = Listener()
    client = SearchClient(listener.take, listener.fail)
    try:
        yield client, listener
    finally:
        await client.close()


async def test_an_answer_comes_part_by_part() -> None:
    async with searching() as (client, listener):
        await client.ask(SearchRequest(number=1, texts=TEXTS | {"gpus": "4", "batch": "4"}))
        await listener.until(Done, 1)
        kinds = [type(found).__name__ for found in listener.found]
        assert kinds[:6] == ["StrategyFound"] * 5 + ["LayoutsFound"]
        assert kinds.count("PointFound") == 6 * 13
        assert not listener.failed


async def test_a_newer_question_ends_the_answer_to_the_older() -> None:
    async with searching() as (client, listener):
        await client.ask(SearchRequest(number=1, texts=TEXTS | {"gpus": "4096", "batch": "8192"}))
        await client.ask(SearchRequest(number=2, texts=TEXTS | {"gpus": "2", "batch": "4"}))
        found = await listener.until(LayoutsFound, 2)
        assert isinstance(found, LayoutsFound)
        assert found.splits[0].world == 2
        assert not any(isinstance(one, Done) and one.number == 1 for one in listener.found)


async def test_a_process_that_dies_is_said_and_started_again() -> None:
    async with searching() as (client, listener):
        await client.ask(SearchRequest(number=1, texts=TEXTS))
        process = client._process
        assert process is not None
        process.kill()
        async with asyncio.timeout(DEADLINE_S):
            while not listener.failed:
                await asyncio.sleep(0.01)
        await client.ask(SearchRequest(number=2, texts=TEXTS | {"gpus": "2"}))
        assert await listener.until(LayoutsFound, 2)


async def test_closing_ends_the_process() -> None:
    async with searching() as (client, _):
        await client.ask(SearchRequest(number=1, texts=TEXTS))
        process = client._process
    assert process is not None
    assert process.returncode is not None


def test_a_search_keeps_to_what_the_form_says() -> None:
    asked = plan(memory_gib="40", batch="64", precision="fp8", optimizer="sgd")
    given = constraints_of(asked)
    assert given.memory_bytes == asked.limit_bytes == 40 * 2**30
    assert (given.batch, given.precision, given.optimizer) == (64, "fp8", "sgd")
    assert given.tp is None


def test_a_broken_question_is_answered_with_nothing() -> None:
    (only,) = findings(SearchRequest(number=3, texts=TEXTS | {"gpus": "x"}))
    assert isinstance(only, Done)


def test_a_growing_batch_grows_along_the_curve() -> None:
    ask = SearchRequest(number=1, texts=TEXTS | {"gpus": "2", "batch": "4"}, growing=True)
    points = [found for found in findings(ask) if isinstance(found, PointFound)]
    data = {point.gpus: point.layout for point in points if point.key == "data"}
    assert data[64] is not None
    assert data[64].batch == 128


def test_a_comparison_is_found_where_it_is_asked_for_and_before_the_curves() -> None:
    texts = TEXTS | {"gpus": "4", "batch": "4"}
    seen: list[Finding] = []
    for found in findings(SearchRequest(number=7, texts=texts, compared=True)):
        if isinstance(found, PointFound):
            break
        seen.append(found)
    compared = seen[-1]
    assert isinstance(compared, ComparisonFound)
    text = "\n".join(compared.lines)
    for words in ("64", "generic-70b on 32 GPUs", "By score: ", "MI355X"):
        assert words in text
    # The limit of the form's GPU is not that of the others.
    for gpu in known_gpus().values():
        row = next(line for line in compared.lines if line.startswith(f"{gpu.name}  "))
        fits, used_gib = row.removeprefix(gpu.name).split()[:2]
        assert (fits == "yes") is (float(used_gib) <= gpu.memory_bytes / 2**30 + 0.05)
