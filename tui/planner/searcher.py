"""The process that searches layouts beside the screen: questions on stdin, findings on stdout.

A process and not a thread: a search keeps a core busy for seconds, and the keys must not wait for
it. Between two parts of an answer it looks whether another question has come, and then drops the
old one.
"""

import os
import select
import sys
import time
from collections.abc import Iterator
from dataclasses import replace

from ...engine.planner.cost.setting import Setting
from ...engine.planner.explain.verdict import with_more_memory
from ...engine.planner.search.constraints import Constraints
from ...engine.planner.search.search import search
from ...engine.planner.search.strategies import STRATEGY_KEYS, StrategyKey, best_of
from ...engine.shape.field_errors import FieldError
from .answer import LADDER
from .knowledge import gather
from .reading import Plan, read
from .search_messages import (
    ASK_DECODER,
    BEST,
    ENCODER,
    Ask,
    Done,
    Found,
    LayoutsFound,
    PointFound,
    StrategyFound,
)
from .served import served_shape

NICENESS = 10
"""The engine that is being watched goes first."""


def constraints_of(plan: Plan) -> Constraints:
    """What a search keeps to: all that the form says but the degrees and what goes with them."""
    return Constraints(
        batch=plan.batch,
        memory_bytes=plan.limit_bytes,
        precision=plan.layout.precision,
        optimizer=plan.layout.optimizer,
        offload=plan.layout.offload,
    )


def findings(ask: Ask) -> Iterator[Found]:
    """The answer to a question, part by part, what is wanted most first."""
    started_s = time.monotonic()
    served = served_shape(ask.served) if ask.served is not None else None
    plan = read(ask.texts, gather(served, {})).plan
    if plan is not None:
        given = constraints_of(plan)
        for key in STRATEGY_KEYS:
            yield _strategy(ask.number, key, plan.setting, given)
        yield _layouts(ask.number, plan.setting, given)
        for curve in (*STRATEGY_KEYS, BEST):
            for gpus in LADDER:
                yield _point(ask, curve, gpus, plan, given)
    yield Done(number=ask.number, seconds=time.monotonic() - started_s)


def _strategy(number: int, key: StrategyKey, setting: Setting, given: Constraints) -> StrategyFound:
    try:
        found = best_of(key, setting, given)
    except FieldError as error:
        return StrategyFound(number=number, key=key, layout=None, reason=error.reason)
    shown = found.best or found.leanest
    return StrategyFound(
        number=number,
        key=key,
        layout=shown.layout if shown is not None else None,
        reason=found.limiting.reason if found.limiting is not None else None,
    )


def _layouts(number: int, setting: Setting, given: Constraints) -> LayoutsFound:
    try:
        result = search(setting, given)
    except FieldError as error:
        return LayoutsFound(
            number=number,
            splits=(),
            front=(),
            faster=None,
            considered=0,
            fitting=0,
            reason=error.reason,
        )
    faster = with_more_memory(result)
    return LayoutsFound(
        number=number,
        splits=tuple(each.layout for each in result.splits),
        front=tuple(each.layout for each in result.front),
        faster=None if faster is None else faster.layout,
        considered=result.considered,
        fitting=result.fitting,
        reason=None if result.limiting is None else result.limiting.reason,
    )


def _point(ask: Ask, key: str, gpus: int, plan: Plan, given: Constraints) -> PointFound:
    """One cluster size of one curve. A batch that grows keeps its share of each GPU."""
    nothing = PointFound(number=ask.number, key=key, gpus=gpus, layout=None)
    batch = plan.batch
    if ask.growing:
        batch, rest = divmod(plan.batch * gpus, plan.cluster.gpus)
        if rest or not batch:
            return nothing
    setting = replace(plan.setting, cluster=replace(plan.cluster, gpus=gpus))
    wanted = replace(given, batch=batch, keep=1)
    try:
        strategy: StrategyKey | None = next((one for one in STRATEGY_KEYS if one == key), None)
        found = (
            search(setting, wanted).winner
            if strategy is None
            else best_of(strategy, setting, wanted).best
        )
    except FieldError:
        return nothing
    return (
        nothing
        if found is None
        else PointFound(number=ask.number, key=key, gpus=gpus, layout=found.layout)
    )


def main() -> None:
    """Answer questions until stdin ends; a newer one ends the answer to the one before."""
    os.nice(NICENESS)
    questions = _Questions(sys.stdin.fileno())
    while (ask := questions.newest(wait=True)) is not None:
        for found in findings(ask):
            sys.stdout.buffer.write(ENCODER.encode(found) + b"\n")
            sys.stdout.buffer.flush()
            if questions.waiting():
                break


class _Questions:
    """Lines of stdin, read without a buffer that would hide them from `select`."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._partial = b""
        self._lines: list[bytes] = []
        self._ended = False

    def newest(self, *, wait: bool) -> Ask | None:
        """The newest question, older ones dropped; `None` once stdin has ended."""
        while not self._lines and not self._ended:
            self._read(None if wait else 0)
        return ASK_DECODER.decode(self._lines.pop()) if self._take() else None

    def waiting(self) -> bool:
        """Whether another question has come, or no more will be."""
        self._read(0)
        return bool(self._lines) or self._ended

    def _take(self) -> bool:
        del self._lines[:-1]
        return bool(self._lines)

    def _read(self, timeout_s: float | None) -> None:
        ready, _, _ = select.select([self._fd], [], [], timeout_s)
        if not ready:
            return
        data = os.read(self._fd, 1 << 16)
        self._ended = not data
        *whole, self._partial = (self._partial + data).split(b"\n")
        self._lines += [line for line in whole if line]


if __name__ == "__main__":
    main()
