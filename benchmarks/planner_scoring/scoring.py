"""How far the planner is from published runs, beside a baseline that knows one MFU per source.

Scored on time, because sources define FLOPs differently: the step time where a row has it, else
tokens per second, and peak memory on its own. An error is predicted over measured, less one.
"""

import csv
import io
import re
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from prodtop.engine.planner.cost.calibration import Constants, default_constants
from prodtop.engine.planner.cost.estimate import Estimate, estimate
from prodtop.engine.planner.cost.intervals import classes
from prodtop.engine.shape.field_errors import FieldError

from .cells import Row
from .rows import Run, parse_run

Metric = Literal["time", "memory"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """One row's prediction. `error` is signed; time is seconds, or tokens/s/GPU without a time."""

    row: int
    source: str
    label: str
    metric: Metric
    unit: str
    measured: float
    predicted: float
    baseline: float | None
    assumed: tuple[str, ...]
    classes: tuple[str, ...]

    @property
    def error(self) -> float:
        """Signed relative error of the prediction."""
        return self.predicted / self.measured - 1

    @property
    def stated(self) -> bool:
        """Whether the source states layout, batch and precision, and which GPU it was."""
        return not any(word in guess for guess in self.assumed for word in _OPEN)

    @property
    def baseline_error(self) -> float | None:
        """The same of the baseline."""
        return None if self.baseline is None else self.baseline / self.measured - 1


_OPEN = (
    *("ZeRO stage", "recomputation", "precision", "micro", "accumulation", "vp =", "seq =", "pp ="),
    *("tp =", "global_bs", "replica", "power", "states"),
)
"""In what was assumed of a run: layout, batch, precision or GPU, not a shape or a release."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """A row that could not be scored, and why."""

    row: int
    source: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Absolute errors of some rows; `signed` is the mean error with its sign."""

    rows: int
    mean: float
    median: float
    p90: float
    signed: float
    baseline_mean: float | None
    baseline_median: float | None
    baseline_p90: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All rows and what they come to, per source and overall, per metric."""

    scored: tuple[Scored, ...]
    skipped: tuple[Skipped, ...]

    def sources(self, metric: Metric) -> list[str]:
        """Sources with rows of `metric`, in the table's order."""
        return list(dict.fromkeys(s.source for s in self.scored if s.metric == metric))

    def summary(
        self, metric: Metric, source: str | None = None, *, stated: bool = False
    ) -> Summary | None:
        """Errors of one source, or of all; nothing where there are no rows.

        stated: of rows alone that state their layout and precision.
        """
        rows = [s for s in self.scored if s.metric == metric and source in (None, s.source)]
        rows = [s for s in rows if s.stated or not stated]
        return summarise(rows) if rows else None


def read_rows(path: Path) -> list[Row]:
    """The rows of a CSV file, by their columns' names in small letters.

    Columns may stand in any order, with others among them, separated by commas, semicolons or tabs.
    Raises `FieldError` where the file cannot be read or has no rows.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise FieldError("csv", f"{path}: cannot be read: {error}") from error
    try:
        rows = parse_rows(data)
    except csv.Error as error:
        raise FieldError("csv", f"{path}: cannot be read: {error}") from error
    if not rows:
        raise FieldError("csv", f"{path}: has no rows")
    return rows


def parse_rows(data: bytes) -> list[Row]:
    """As `read_rows`, of a file's bytes: UTF-8 with or without a mark, else Latin-1."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    header = text.lstrip().split("\n", 1)[0]
    delimiter = max(",;\t", key=header.count)
    # Without `newline`, a quoted cell keeps its line breaks and a bare carriage return ends a line.
    lines = csv.reader(io.StringIO(text.lstrip(), newline=""), delimiter=delimiter)
    names = [_column(name) for name in next(lines, [])]
    return [dict(zip(names, line, strict=False)) for line in lines if line]


def _column(name: str) -> str:
    """`Micro BS ` as `micro_bs`."""
    return re.sub(r"\W+", "_", name.strip().lower()).strip("_")


def score(rows: Iterable[Row], constants: Constants | None = None) -> Report:
    """Predict every row and compare; rows are numbered from 1, the header not counted."""
    chosen = constants or default_constants()
    skipped: list[Skipped] = []
    done: list[tuple[int, Run, Estimate]] = []
    for number, row in enumerate(rows, 1):
        try:
            run = parse_run(row, chosen)
            done.append((number, run, estimate(run.setting, run.layout, checked=False)))
        except FieldError as error:
            source = (row.get("source") or "").strip()
            skipped.append(Skipped(row=number, source=source, reason=str(error)))
    return Report(scored=tuple(_compare(done)), skipped=tuple(skipped))


def _compare(done: Sequence[tuple[int, Run, Estimate]]) -> Iterable[Scored]:
    constants = _baseline_mfu(done)
    for number, run, guess in done:
        if run.step_s is not None or run.tokens_s_gpu is not None:
            utilisation = constants[run.source]
            flops = run.setting.model.flops_per_token(run.setting.sequence)
            speed = utilisation * guess.peak_flops / flops
            if run.step_s is not None:
                measured, predicted, unit = run.step_s, guess.step_s, "s"
                baseline = guess.tokens_per_step / (speed * run.layout.world)
            else:
                assert run.tokens_s_gpu is not None
                measured, predicted, unit = run.tokens_s_gpu, guess.tokens_s_gpu, "tokens/s/GPU"
                baseline = speed
            yield _scored(number, run, "time", unit, measured, predicted, baseline)
        if run.peak_bytes is not None:
            used = guess.memory.reserved if run.peak_reserved else guess.memory.allocated
            used = guess.memory.total if run.peak_device else used
            yield _scored(number, run, "memory", "bytes", run.peak_bytes, used, None)


def _scored(
    number: int,
    run: Run,
    metric: Metric,
    unit: str,
    measured: float,
    predicted: float,
    baseline: float | None,
) -> Scored:
    return Scored(
        row=number,
        source=run.source,
        label=run.label,
        metric=metric,
        unit=unit,
        measured=measured,
        predicted=predicted,
        baseline=baseline,
        assumed=run.assumed,
        classes=tuple(classes(run.setting, run.layout)),
    )


def _baseline_mfu(done: Sequence[tuple[int, Run, Estimate]]) -> dict[str, float]:
    """The median MFU that each source reached: the constant that a trivial planner would fit."""
    reached: dict[str, list[float]] = {}
    for _, run, guess in done:
        if run.step_s is not None:
            speed = guess.tokens_per_step / (run.step_s * run.layout.world)
        elif run.tokens_s_gpu is not None:
            speed = run.tokens_s_gpu
        else:
            continue
        flops = run.setting.model.flops_per_token(run.setting.sequence)
        reached.setdefault(run.source, []).append(speed * flops / guess.peak_flops)
    return {source: statistics.median(values) for source, values in reached.items()}


def summarise(rows: Sequence[Scored]) -> Summary:
    """Mean, median and 90th percentile of the absolute errors."""
    errors = sorted(abs(s.error) for s in rows)
    trivial = sorted(abs(s.baseline_error) for s in rows if s.baseline_error is not None)
    return Summary(
        rows=len(rows),
        mean=statistics.fmean(errors),
        median=statistics.median(errors),
        p90=percentile(errors, 0.9),
        signed=statistics.fmean(s.error for s in rows),
        baseline_mean=statistics.fmean(trivial) if trivial else None,
        baseline_median=statistics.median(trivial) if trivial else None,
        baseline_p90=percentile(trivial, 0.9) if trivial else None,
    )


def percentile(ordered: Sequence[float], share: float) -> float:
    """The `share` quantile of sorted values, interpolated between neighbours."""
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)
