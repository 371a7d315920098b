"""The comparison that the screen measures: what is asked for, and where it stands.

Pure: what the worker reports goes through `engine.compare.sweep`, see `compare_run.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from ...engine.compare.cells import Comparison, Measured, Work
from ...engine.compare.kept import resumed
from ...engine.compare.median import least_repeats
from ...engine.compare.samples import Limits
from ...engine.compare.schedule import Goal, Variant, cells_of, is_done
from ...engine.compare.sweep import SweepProgress
from ...engine.protocol import (
    Frame,
    LoadSpec,
    PrecisionName,
    SloSpec,
    StrategyName,
    Summary,
    own_setting,
)
from ...engine.protocol.errors import BadInputError
from ...engine.records.tried import Tried
from .stage import Stage

LEAST_REQUESTS, MOST_REQUESTS = 16, 64
"""Of a repeat: one for each user within these, so that the load is that of the users."""
WARM_UP_REQUESTS = 4
GOAL = Goal(most_repeats=least_repeats(), within=0.02, budget_s=300.0, steady=False)
"""Short: in five minutes every cell should have something. `prodtop compare` has all the time."""

Place = tuple[StrategyName, PrecisionName]
"""A row and a column of the matrix."""


@dataclass(frozen=True, slots=True)
class Compare:
    """What was measured cell by cell, and what is being measured.

    It stays until another sweep does other work. `live`: what was served since the start, by place.
    """

    stage: Stage = Stage.NONE
    comparison: Comparison | None = None
    progress: SweepProgress | None = None
    ended: str = ""
    """Why the last sweep is over."""
    live: tuple[Tried, ...] = ()

    @property
    def running(self) -> bool:
        """Whether the engine measures cells now: the live load is set aside."""
        return self.stage in (Stage.RUNNING, Stage.CANCELLING)

    @property
    def load(self) -> LoadSpec | None:
        """What all cells are measured under."""
        cells = self.comparison.cells if self.comparison is not None else []
        return cells[0].cell.load if cells else None

    def measured(self, place: Place) -> Measured | None:
        """The cell of a place, measured or not; `None` where it was not asked for."""
        cells = self.comparison.cells if self.comparison is not None else []
        return next((each for each in cells if place_of(each) == place), None)

    def served(self, place: Place) -> Tried | None:
        """What the live load did there: under the sweep's load if it was, else what was last."""
        found = [
            tried
            for tried in self.live
            if (tried.settings.strategy, tried.settings.precision) == place
            and tried.figures is not None
        ]
        same = [
            tried for tried in found if self.load and _same_load(tried.settings.load, self.load)
        ]
        kept = same or found
        return kept[-1] if kept else None


NO_COMPARE = Compare()


def place_of(measured: Measured) -> Place:
    return measured.cell.strategy, measured.cell.precision


def _same_load(one: LoadSpec, other: LoadSpec) -> bool:
    return msgspec.structs.replace(one, ignore_eos=other.ignore_eos) == other


def asked(frame: Frame) -> Comparison:
    """Every strategy at every precision that the device can run, under the present load.

    Every token that is asked for is generated, since another precision would end its texts
    elsewhere and do other work. Raises `BadInputError` where there is no load.
    """
    setting = own_setting(frame)
    load = msgspec.structs.replace(setting.load, ignore_eos=True)
    if load.paused or not (load.is_open or load.users):
        raise BadInputError("there is no load to compare under: add some first")
    precisions = [status.name for status in frame.precisions if status.reason is None]
    cells = cells_of(list(StrategyName), precisions, [Variant(load=load)])
    work = Work(
        model=frame.model.name,
        device=frame.device_name or frame.device,
        load_format="auto",
        requests=min(max(LEAST_REQUESTS, load.users), MOST_REQUESTS),
        warmup=WARM_UP_REQUESTS,
        max_seqs=setting.max_seqs,
    )
    return Comparison(work=work, cells=[Measured(cell=cell) for cell in cells])


def going_on(kept: Comparison | None, wanted: Comparison) -> Comparison:
    """`wanted` with what is kept of it, where that is of the same work and not all done."""
    if kept is None or all(is_done(each, GOAL) for each in kept.cells):
        return wanted
    try:
        return resumed(wanted, kept, "the last comparison")
    except BadInputError:
        return wanted


def limits_of(slo: SloSpec) -> Limits:
    """The limits of `[slo]` that a recommendation judges by."""
    return Limits(ttft_ms=slo.ttft_ms, ttfb_ms=slo.ttfb_ms, tpot_ms=slo.tpot_ms, e2e_ms=slo.e2e_ms)


def live_value(figures: Summary, metric: str) -> tuple[float, bool] | None:
    """A metric as the live load showed it, and whether it is only known to be at least so much;
    `None` for those that a steady span does not tell."""
    plain = {
        "output_tok_s": figures.decode_tok_s,
        "tpot_p50_ms": figures.tpot_p50_ms,
        "tpot_p95_ms": figures.tpot_p95_ms,
        "memory_bytes": figures.memory_bytes,
    }
    censored = {
        "ttft_p50_ms": figures.ttft_p50,
        "ttft_p95_ms": figures.ttft_p95,
        "ttfb_p95_ms": figures.ttfb_p95,
        "e2e_p95_ms": figures.e2e_p95,
    }
    found, value = censored.get(metric), plain.get(metric)
    if found is not None:
        return found.value_ms, found.at_least
    return None if value is None else (float(value), False)


def places(
    frame: Frame | None, compare: Compare
) -> tuple[Sequence[StrategyName], list[PrecisionName]]:
    """The rows and the columns: all strategies, and all precisions that the engine knows."""
    known = [status.name for status in frame.precisions] if frame is not None else []
    cells = compare.comparison.cells if compare.comparison is not None else []
    used = {each.cell.precision for each in cells} | set(known)
    return tuple(StrategyName), [name for name in PrecisionName if name in used]
