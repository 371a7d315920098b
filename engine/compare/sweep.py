"""Measuring a comparison through an engine's client: what to send next, given what was reported.

It sends nothing itself and has no clock: command line and tab drive it alike.
"""

import msgspec

from ..protocol import (
    BenchDone,
    BenchSpec,
    CellResult,
    CellSkipped,
    ChildDied,
    Command,
    Fault,
    Frame,
    PrecisionName,
    Report,
    RunBench,
    SetPrecision,
)
from .cells import Comparison, Measured, label
from .schedule import (
    Goal,
    is_behind,
    is_done,
    is_warm,
    most_warm_up_s,
    next_cell,
    time_left_s,
    with_measured,
)


class SweepProgress(msgspec.Struct, frozen=True, kw_only=True):
    """Where a sweep stands. `left_s` is an estimate, `None` before anything was measured."""

    cell: str | None
    warming_up: bool
    repeat: int
    done_cells: int
    cells: int
    left_s: float | None


class Sweep:
    """Measures until every cell is done or the budget is spent; all times in seconds, monotonic.

    After `take` or `begin` send what they return. `ended` says why it is over, once it is.
    """

    def __init__(self, comparison: Comparison, goal: Goal, precision: PrecisionName) -> None:
        """`comparison` may have results, to which more are added. `precision`: the engine's now."""
        self.comparison = comparison
        self.ended: str | None = None
        self.changed = False
        """There are results that nobody has looked at; whoever does resets it."""
        self._goal = goal
        self._precision = precision
        self._began_s = 0.0
        self._run_began_s = 0.0
        self._running: int | None = None
        self._warm_up_tok_s: dict[int, list[float]] = {}
        self._warm_up_s: dict[int, float] = {}
        waiting = sum(not is_done(each, goal) for each in comparison.cells)
        self._most_warm_up_s = most_warm_up_s(goal, max(1, waiting))
        self._took_s: dict[int, list[float]] = {}
        self._lost = False
        self._served: set[PrecisionName] = set()
        self._hurried: set[int] = set()
        """The cells that there was no time to warm."""

    def begin(self, now_s: float) -> list[Command]:
        """The first commands: the engine has to be ready."""
        self._began_s = now_s
        return self._next(now_s)

    def take(self, report: Report, now_s: float) -> list[Command]:
        """Take in what was reported; returns what to send."""
        if self.ended is not None:
            return []
        match report:
            case CellResult():
                self._on_result(report, now_s)
            case CellSkipped():
                self._set(skipped=report.reason)
            case Fault():
                self._set(failure=report.message)
            case ChildDied(child="worker"):
                self._on_death(report)
            case BenchDone():
                return self._next(now_s)
            case Frame(precision=PrecisionName() as precision) if self._lost:
                self._lost, self._precision = False, precision
                return self._next(now_s)
            case _:
                pass
        return []

    def progress(self, now_s: float) -> SweepProgress:
        """Where it stands."""
        cells = self.comparison.cells
        names = [each.cell for each in cells]
        running = None if self._running is None else cells[self._running]
        warm = [index for index in range(len(cells)) if self._is_warm(index)]
        spent_s = now_s - self._began_s
        left_s = time_left_s(self.comparison, self._goal, self._took_s, spent_s, warm)
        return SweepProgress(
            cell=None if running is None else label(running.cell, names),
            warming_up=self._running is not None and not self._is_warm(self._running),
            repeat=0 if running is None else len(running.repeats) + 1,
            done_cells=sum(is_done(each, self._goal) for each in cells),
            cells=len(cells),
            left_s=left_s,
        )

    def _next(self, now_s: float) -> list[Command]:
        budget_s = self._goal.budget_s
        following = next_cell(self.comparison, self._goal)
        self._running = None
        if following is None:
            self.ended = "all cells were measured"
        elif budget_s is not None and now_s - self._began_s >= budget_s:
            self.ended = f"the budget of {budget_s:g} s is spent"
        else:
            self._running = self.comparison.cells.index(following)
            first_run = self._running not in self._took_s
            if first_run and is_behind(self.comparison, self._goal, now_s - self._began_s):
                self._hurried.add(self._running)
            self._run_began_s = now_s
            return self._commands(following)
        return []

    def _commands(self, measured: Measured) -> list[Command]:
        cell, work = measured.cell, self.comparison.work
        commands: list[Command] = []
        if cell.precision is not self._precision:
            # Else the engine would go back to its own after each bench, and pack weights twice.
            commands.append(SetPrecision(name=cell.precision))
            self._precision = cell.precision
        spec = BenchSpec(
            strategies=[cell.strategy],
            precisions=[cell.precision],
            requests=work.requests,
            load=cell.load,
            warmup=work.warmup,
            max_seqs=cell.max_seqs,
            drafts=cell.drafts,
            samples=True,
        )
        # What is served beside it would fill the caches, and warm or heat the device.
        return [*commands, RunBench(spec=spec, hold=True)]

    def _on_result(self, result: CellResult, now_s: float) -> None:
        if self._running is None:
            return
        self._served.add(result.precision)
        took_s = now_s - self._run_began_s
        self._took_s.setdefault(self._running, []).append(took_s)
        self._run_began_s = now_s
        if not self._is_warm(self._running):
            self._warm_up_tok_s.setdefault(self._running, []).append(result.output_tok_s)
            warmed_s = self._warm_up_s.get(self._running, 0.0)
            self._warm_up_s[self._running] = warmed_s + took_s
            # A run as long as that is no warm-up: what was slow at first is a small part of it.
            if result.duration_s < self._most_warm_up_s:
                return
        self._set(repeats=[*self.comparison.cells[self._running].repeats, result])

    def _is_warm(self, index: int) -> bool:
        if not self._goal.steady or index in self._hurried:
            return True
        long_enough = self._warm_up_s.get(index, 0.0) >= self._most_warm_up_s
        return long_enough or is_warm(self._warm_up_tok_s.get(index, []))

    def _on_death(self, death: ChildDied) -> None:
        failure = f"the worker died: {death.reason}"
        if self._running is not None:
            precision = self.comparison.cells[self._running].cell.precision
            if precision not in self._served:
                # It may not stand the precision: to try the next cell of it would be the same.
                self._fail_all(precision, failure)
        self._set(failure=failure)
        self._lost, self._running = True, None
        # A new process is as cold as the first.
        self._warm_up_tok_s.clear()
        self._warm_up_s.clear()
        if death.restart_in_s is None:
            self.ended = f"the worker died and is not started again: {death.reason}"

    def _fail_all(self, precision: PrecisionName, failure: str) -> None:
        """All cells at a precision at which nothing has run."""
        cells = [
            msgspec.structs.replace(each, failure=f"not tried: {failure} at {precision}")
            if each.cell.precision is precision and each.skipped is None
            else each
            for each in self.comparison.cells
        ]
        self.comparison = msgspec.structs.replace(self.comparison, cells=cells)

    def _set(self, **fields: object) -> None:
        if self._running is None:
            return
        measured = msgspec.structs.replace(self.comparison.cells[self._running], **fields)
        self.comparison = with_measured(self.comparison, measured)
        self.changed = True
