"""The process that searches layouts beside the screen: requests on stdin, findings on stdout.

A process and not a thread: a search keeps a core busy for seconds, and the keys must not wait for
it. Between two findings it looks whether another request has come, and then drops the old one.
"""

import contextlib
import os
import select
import sys
import time
from collections.abc import Iterator
from dataclasses import replace

from ...engine.planner.cost.layout import Layout
from ...engine.planner.cost.setting import Setting
from ...engine.planner.explain.verdict import with_more_memory
from ...engine.planner.question.question import QuestionError, reference_data
from ...engine.planner.search.constraints import Constraints
from ...engine.planner.search.search import search
from ...engine.planner.search.strategies import STRATEGY_KEYS, StrategyKey, best_of
from ...engine.protocol.child_process import die_with_parent
from ...engine.shape.field_errors import FieldError
from .comparing import compared_lines
from .evaluation import GPU_COUNTS
from .plan import Plan, read_plan
from .search_messages import (
    BEST,
    ENCODER,
    REQUEST_DECODER,
    ComparisonFound,
    Done,
    Finding,
    LayoutsFound,
    PointFound,
    SearchRequest,
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


def findings(request: SearchRequest) -> Iterator[Finding]:
    """What is found for a request, part by part, what is wanted most first."""
    started_s, number = time.monotonic(), request.number
    served = served_shape(request.served) if request.served is not None else None
    with contextlib.suppress(QuestionError):
        data = reference_data(served)
        plan = read_plan(request.texts, data)
        constraints = constraints_of(plan)
        for key in STRATEGY_KEYS:
            yield _strategy(number, key, plan.setting, constraints)
        yield _layouts(number, plan.setting, constraints)
        if request.compared:
            yield ComparisonFound(number=number, lines=compared_lines(plan, constraints, data))
        for curve in (*STRATEGY_KEYS, None):
            for gpus in GPU_COUNTS:
                layout = _on(gpus, plan, curve, growing=request.growing)
                yield PointFound(number=number, key=curve or BEST, gpus=gpus, layout=layout)
    yield Done(number=number, seconds=time.monotonic() - started_s)


def _strategy(
    number: int, key: StrategyKey, setting: Setting, constraints: Constraints
) -> StrategyFound:
    try:
        result = best_of(key, setting, constraints)
    except FieldError as error:
        return StrategyFound(number=number, key=key, reason=error.reason)
    estimate = result.best or result.leanest
    return StrategyFound(
        number=number,
        key=key,
        layout=estimate.layout if estimate is not None else None,
        reason=result.limiting.reason if result.limiting is not None else None,
    )


def _layouts(number: int, setting: Setting, constraints: Constraints) -> LayoutsFound:
    try:
        result = search(setting, constraints)
    except FieldError as error:
        return LayoutsFound(number=number, reason=error.reason)
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


def _on(gpus: int, plan: Plan, strategy: StrategyKey | None, *, growing: bool) -> Layout | None:
    """The best layout of a strategy, or of all, on a cluster of another size, where one fits. A
    batch that grows keeps its share of each GPU."""
    batch = plan.batch
    if growing:
        batch, rest = divmod(plan.batch * gpus, plan.cluster.gpus)
        if rest or not batch:
            return None
    setting = replace(plan.setting, cluster=replace(plan.cluster, gpus=gpus))
    constraints = replace(constraints_of(plan), batch=batch, keep=1)
    try:
        if strategy is None:
            best = search(setting, constraints).winner
        else:
            best = best_of(strategy, setting, constraints).best
    except FieldError:
        return None
    return None if best is None else best.layout


def main() -> None:
    """Answer requests until stdin ends; a newer one ends the answer to the one before."""
    os.nice(NICENESS)
    requests = _Requests(sys.stdin.fileno())
    while (request := requests.newest(wait=True)) is not None:
        for finding in findings(request):
            sys.stdout.buffer.write(ENCODER.encode(finding) + b"\n")
            sys.stdout.buffer.flush()
            if requests.waiting():
                break


class _Requests:
    """Lines of stdin, read without a buffer that would hide them from `select`."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._partial = b""
        self._lines: list[bytes] = []
        self._ended = False

    def newest(self, *, wait: bool) -> SearchRequest | None:
        """The newest request, older ones dropped; `None` once stdin has ended."""
        while not self._lines and not self._ended:
            self._read(None if wait else 0)
        newest, self._lines = self._lines[-1:], []
        return REQUEST_DECODER.decode(newest[0]) if newest else None

    def waiting(self) -> bool:
        """Whether another request has come, or no more will be."""
        self._read(0)
        return bool(self._lines) or self._ended

    def _read(self, timeout_s: float | None) -> None:
        ready, _, _ = select.select([self._fd], [], [], timeout_s)
        if not ready:
            return
        data = os.read(self._fd, 1 << 16)
        self._ended = not data
        *whole, self._partial = (self._partial + data).split(b"\n")
        self._lines += [line for line in whole if line]


if __name__ == "__main__":
    die_with_parent()
    main()
