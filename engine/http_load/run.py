"""One load on one server, from the first arrival to the last end."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

from ..load.load import Load
from ..load.sequence import Arrival
from .connections import Connections
from .event_reader import Answer
from .target import Asked
from .texts import TextMaker

NAP_S = 0.02
"""At least so often it is looked whether the load is still wanted."""


@dataclass(frozen=True, slots=True)
class Served:
    """A request and its answer; times are on the generator's clock.

    `sent_s` is when it was sent: what lies between its arrival and that is the generator's own lag.
    All latencies count from the arrival.
    """

    number: int
    arrival_s: float
    sent_s: float
    end_s: float
    answer: Answer

    @property
    def failed(self) -> bool:
        return self.answer.error is not None

    @property
    def tokens(self) -> int:
        """Of its output, as the server counts them, else the pieces that came."""
        told = self.answer.output_tokens
        return len(self.answer.texts_at_s) if told is None else told

    @property
    def ttft_s(self) -> float | None:
        texts = self.answer.texts_at_s
        return texts[0] - self.arrival_s if texts else None

    @property
    def ttfb_s(self) -> float | None:
        first_s = self.answer.first_byte_s
        return None if first_s is None else first_s - self.arrival_s

    @property
    def e2e_s(self) -> float | None:
        """To the last piece of text."""
        texts = self.answer.texts_at_s
        return texts[-1] - self.arrival_s if texts else None

    @property
    def tpot_s(self) -> float | None:
        texts, tokens = self.answer.texts_at_s, self.tokens
        return (texts[-1] - texts[0]) / (tokens - 1) if len(texts) > 1 and tokens > 1 else None

    @property
    def gaps_s(self) -> list[float]:
        """Between its pieces of text: a server that sends several tokens at once has fewer."""
        texts = self.answer.texts_at_s
        return [later - earlier for earlier, later in pairwise(texts)]


@dataclass
class LoadRun:
    """What was served: every request in the order in which it ended, and the most at once."""

    served: list[Served] = field(default_factory=list)
    peak_running: int = 0
    loop_lag_s: list[float] = field(default_factory=list)
    """How much later than it should each nap of the generator ended: its own part of every time."""


async def run_load(
    load: Load,
    connections: Connections,
    texts: TextMaker,
    *,
    keep_going: Callable[[], bool] = lambda: True,
    on_served: Callable[[Served], object] = lambda _: None,
    keep: bool = True,
    clock: Callable[[], float] = time.monotonic,
) -> LoadRun:
    """Send what the load says, when it says; returns once it is exhausted and all has ended.

    What was served is kept for the figures, unless `keep` is false: then it only goes by.
    """
    run, tasks = LoadRun(), set[asyncio.Task[None]]()
    woken = asyncio.Event()

    async def serve(arrival: Arrival) -> None:
        sent_s = clock()
        answer = await connections.ask(_asked(arrival, texts))
        end_s = clock()
        served = Served(arrival.number, arrival.arrival_at_s, sent_s, end_s, answer)
        if keep:
            run.served.append(served)
        (load.on_refused if answer.status in (429, 503) else load.on_done)(end_s)
        on_served(served)
        woken.set()

    while keep_going() and not (load.exhausted and not load.in_flight):
        load.arrive(clock())
        while (arrival := load.take(clock())) is not None:
            task = asyncio.create_task(serve(arrival))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        run.peak_running = max(run.peak_running, load.in_flight)
        due_s = load.next_due_s()
        wait_s = NAP_S if due_s is None else min(NAP_S, max(0.0, due_s - clock()))
        began_s = clock()
        woken.clear()
        try:
            async with asyncio.timeout(wait_s):
                await woken.wait()
        except TimeoutError:
            if keep:
                run.loop_lag_s.append(max(0.0, clock() - began_s - wait_s))
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return run


def _asked(arrival: Arrival, texts: TextMaker) -> Asked:
    return Asked(
        text=texts.text(arrival),
        max_tokens=arrival.max_tokens,
        temperature=arrival.temperature,
        top_p=arrival.top_p,
        seed=arrival.seed,
        ignore_eos=arrival.ignore_eos,
    )
