"""Getting a comparison: by measuring it, with what is kept of it, or from a file alone."""

import sys
import time
from dataclasses import dataclass
from pathlib import Path

import msgspec

from ...engine.client.local_engine import LocalEngine
from ...engine.compare.against import Rule, require_same_work
from ...engine.compare.cells import Comparison, Measured, Work
from ...engine.compare.kept import not_asked, resumed
from ...engine.compare.schedule import Goal, Variant, cells_of
from ...engine.compare.sweep import Sweep
from ...engine.protocol import Frame, Note, PrecisionName, StrategyName, own_setting
from ...engine.protocol.errors import ProdtopError
from ...engine.protocol.options import WorkerOptions
from ...engine.text.cleaning import clean
from .compare_file import KeptFile, read_comparison
from .compare_output import progress_line
from .compare_run import drive, first_frame
from .status_line import StatusLine

CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Question:
    """What to measure. `precisions` `None`: the one that the worker chooses for its device."""

    options: WorkerOptions
    strategies: list[StrategyName]
    precisions: list[PrecisionName] | None
    variants: list[Variant]
    requests: int
    warmup: int
    goal: Goal

    def worker_options(self) -> WorkerOptions:
        """What the worker is started with: room for all settings that are compared."""
        largest = max((each.max_seqs or 0 for each in self.variants), default=0)
        first = None if self.precisions is None or len(self.precisions) > 1 else self.precisions[0]
        return msgspec.structs.replace(
            self.options,
            strategy=self.strategies[0],
            precision=first,
            max_seqs=max(self.options.max_seqs, largest),
        )

    def comparison(self, frame: Frame) -> Comparison:
        """All cells, without a result, for the device of `frame`: those that it cannot run have
        their reason, however early measuring ends."""
        options = self.worker_options()
        cells = cells_of(
            self.strategies, self.precisions or [own_setting(frame).precision], self.variants
        )
        work = Work(
            model=options.model,
            device=options.device,
            load_format=options.load_format,
            requests=self.requests,
            warmup=self.warmup,
            max_seqs=options.max_seqs,
            context_tokens=options.context_tokens,
            kv_gib=options.kv_gib,
            kv_format=options.kv_format,
            threads=options.threads,
        )
        reasons = {status.name: status.reason for status in frame.precisions}
        asked = [Measured(cell=cell, skipped=reasons.get(cell.precision)) for cell in cells]
        return Comparison(work=work, cells=asked)


@dataclass(frozen=True, slots=True)
class Outcome:
    """A comparison; `stopped`: why measuring ended before all cells were done."""

    comparison: Comparison
    stopped: str | None = None


def kept_comparison(path: Path) -> Outcome:
    """What a file has kept. Raises `BadInputError`."""
    return Outcome(read_comparison(path, "--from"))


def measured_comparison(
    question: Question, kept: KeptFile | None, judged: tuple[Comparison, list[Rule]] | None
) -> Outcome:
    """Measure all cells, and keep each result as it comes.

    ctrl+c ends it with what was measured. Raises `BadInputError` before anything is measured where
    what is kept, or the baseline, is of other work.
    """
    status = StatusLine(sys.stderr)
    # No probe: it would only disturb what is measured.
    engine = LocalEngine(question.worker_options(), probe_command=None)
    engine.start()
    keeper: _Keeper | None = None
    stopped: str | None = None
    try:
        frame = first_frame(engine, status.show)
        asked = question.comparison(frame)
        others: list[Measured] = []
        if kept is not None and kept.kept is not None:
            others = not_asked(asked, kept.kept)
            asked = resumed(asked, kept.kept, "--out")
        if judged is not None:
            require_same_work(judged[0], asked)
        keeper = _Keeper(asked, others, kept, status)
        for step in drive(engine, asked, question.goal, frame):
            if isinstance(step, Note):
                status.say(clean(step.message))
            else:
                keeper.take(step)
                stopped = step.ended
    except KeyboardInterrupt:
        if keeper is None:
            raise
        stopped = CANCELLED
    finally:
        engine.close()
        status.clear()
        if keeper is not None:
            keeper.close()
    return Outcome(keeper.comparison, stopped)


class _Keeper:
    """Writes a sweep's comparison whenever it has changed, and shows how far it is."""

    def __init__(
        self,
        asked: Comparison,
        others: list[Measured],
        kept: KeptFile | None,
        status: StatusLine,
    ) -> None:
        self.comparison = asked
        self._others = others
        self._kept = kept
        self._status = status

    def take(self, sweep: Sweep) -> None:
        """Take in where it is. Raises `ProdtopError` where results do not belong together."""
        if sweep.changed:
            sweep.changed = False
            # Before it is taken over: what does not belong there is never written.
            _require_one_device(sweep.comparison)
            self.comparison = sweep.comparison
            if self._kept is not None:
                self._kept.keep(self._whole())
        self._status.show(progress_line(sweep.progress(time.monotonic())))

    def close(self) -> None:
        """Write what there is at the end."""
        if self._kept is not None:
            self._kept.close(self._whole())

    def _whole(self) -> Comparison:
        cells = [*self.comparison.cells, *self._others]
        return msgspec.structs.replace(self.comparison, cells=cells)


def _require_one_device(comparison: Comparison) -> None:
    """Results of a resumed comparison must be of the same device, model and versions."""
    results = [each for cell in comparison.cells for each in cell.repeats]
    for each in results[1:]:
        first = results[0]
        for name in ("model", "device", "versions"):
            if getattr(each, name) != getattr(first, name):
                raise ProdtopError(
                    f"--out was measured with {name} {clean(str(getattr(first, name)))}, and this"
                    f" is {clean(str(getattr(each, name)))}: give another --out"
                )
