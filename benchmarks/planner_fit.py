"""Say how well the planner's constants hold for sources that they were not fitted to.

    python benchmarks/planner_fit.py RUNS.csv [MORE.csv ...]            # each source left out
    python benchmarks/planner_fit.py RUNS.csv --fit                      # fitted to all: constants
    python benchmarks/planner_fit.py RUNS.csv --intervals intervals.toml # write the intervals

Every constant has a physical value (a data sheet, a paper, a microbenchmark) and pays for leaving
it, so that runs move it only as far as they must. Sources count alike, however many rows they have.
Logarithms of predicted over measured are near linear in logarithms of the constants: the slopes are
measured once, each fit is a few weighted least squares, and what it is scored on is the model
itself with the constants that it found.
"""

import argparse
import math
import tomllib
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from planner_left_out import Residual, coverage, print_scores, write_intervals
from planner_scoring.cells import Row
from planner_scoring.scoring import read_rows, score
from prodtop.engine.planner.cost.calibration import Constants, constants_from

Tables = dict[str, dict[str, dict[str, object]]]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Prior:
    """A constant's physical value, how far it may stray (as a factor's logarithm), its ceiling."""

    value: float
    spread: float
    highest: float = math.inf


PRIORS = {
    "universal.attention_half_tokens": Prior(512, 0.5),
    "universal.expert_gemm": Prior(0.8, 0.2, 1.0),
    "universal.contention": Prior(0.15, 0.5, 0.3),
    "universal.attention_unfused": Prior(0.5, 0.3, 1.0),
    "gpu.a100-80.gemm_bf16": Prior(0.84, 0.06, 0.87),
    "gpu.a100-80.gemm_wave": Prior(0.5, 0.4),
    "gpu.a100-80.hbm": Prior(0.85, 0.08, 0.92),
    "gpu.a100-80.attention_flash1": Prior(0.42, 0.2),
    "gpu.a100-80.link": Prior(0.77, 0.1, 0.85),
    "gpu.a100-80.network": Prior(0.8, 0.15, 0.95),
    "gpu.h100-sxm.gemm_bf16": Prior(0.70, 0.08, 0.80),
    "gpu.h100-sxm.gemm_fp8": Prior(0.60, 0.1, 0.71),
    "gpu.h100-sxm.gemm_wave": Prior(0.5, 0.4),
    "gpu.h100-sxm.hbm": Prior(0.85, 0.08, 0.92),
    "gpu.h100-sxm.attention_flash2": Prior(0.36, 0.15),
    "gpu.h100-sxm.attention_flash3": Prior(0.58, 0.15),
    "gpu.h100-sxm.link": Prior(0.80, 0.1, 0.85),
    "gpu.h100-sxm.network": Prior(0.74, 0.15, 0.95),
    "gpu.h100-sxm-96.gemm_bf16": Prior(0.56, 0.12, 0.75),
    "gpu.h100-sxm-96.gemm_fp8": Prior(0.48, 0.12, 0.65),
    "gpu.b200.gemm_bf16": Prior(0.62, 0.12, 0.77),
    "gpu.b200.gemm_fp8": Prior(0.56, 0.12, 0.76),
    "gpu.mi300x.gemm_bf16": Prior(0.42, 0.12, 0.51),
    "gpu.mi300x.gemm_fp8": Prior(0.41, 0.12, 0.49),
    "gpu.mi325x.gemm_fp8": Prior(0.49, 0.12, 0.58),
    "software.megatron-2021.elementwise": Prior(1.3, 0.25),
    "software.megatron-2021.straggler": Prior(0.005, 0.5),
    "software.megatron-deepspeed.dispatch_s": Prior(15e-6, 0.3),
    "software.megatron-deepspeed.straggler": Prior(0.01, 0.6),
    "software.fsdp-2023.elementwise": Prior(1.6, 0.25),
    "software.fsdp-2023.logit_bytes": Prior(16, 0.3),
    "software.torch.elementwise": Prior(2.7, 0.2),
    "software.torch.adapter_bytes": Prior(32, 0.3),
    "software.torch-compile-2024.elementwise": Prior(1.0, 0.25),
    "software.megatron-core.elementwise": Prior(1.1, 0.25),
    "software.megatron-core.tp_overlap": Prior(0.7, 0.3, 0.95),
    "software.megatron-core.fp8_cast": Prior(6, 0.4),
    "software.megatron-core.dispatch_s": Prior(8e-6, 0.3),
    "software.megatron-core.tensor_s": Prior(5e-5, 0.6),
    "software.megatron-bridge-2025.elementwise": Prior(0.95, 0.25),
    "software.megatron-bridge-2025.tp_overlap": Prior(0.8, 0.3, 0.95),
    "software.megatron-core-2025.expert_overlap": Prior(0.3, 0.5, 0.9),
    "software.nanotron.elementwise": Prior(1.6, 0.3),
}
PULL = 0.002
"""Cost of one spread's departure, in units of mean error: a constant moves for real gains only."""
LARGEST_ERROR = 0.3
"""Logarithms beyond this pull no harder: a few broken rows must not bend the machine."""
STEP = 0.05
ROUNDS = 12
FARTHEST = 1.5
"""Spreads that a constant may stray in all."""


class Problem:
    """Runs with a time, their errors, and how these change with each constant."""

    def __init__(self, rows: Sequence[Row], tables: Tables) -> None:
        self.rows, self.tables = rows, tables
        self.residuals = self.under(constants_from(tables, "calibration.toml"))
        self.timed = [one for one in self.residuals if one.metric == "time"]
        self.errors = np.array([one.error for one in self.timed])
        self.sources = np.array([one.source for one in self.timed])
        self.now = {name: _get(tables, name) for name in PRIORS}
        self.slopes = np.stack([self._slope(name) for name in PRIORS], axis=1)

    def under(self, constants: Constants, only: str | None = None) -> list[Residual]:
        """Residuals of all rows, or those of one source."""
        rows = [row for row in self.rows if only in (None, (row.get("source") or "").strip())]
        return [Residual.of(one) for one in score(rows, constants).scored]

    def _slope(self, name: str) -> Floats:
        tables = moved(self.tables, {name: self.now[name] * math.exp(STEP)})
        later = [one for one in self.under(constants_from(tables, "fit")) if one.metric == "time"]
        errors: Floats = np.array([one.error for one in later])
        slope: Floats = (errors - self.errors) / STEP
        return slope

    def fit(self, without: str | None = None) -> Tables:
        """The tables with constants fitted to all sources but one."""
        kept = self.sources != without
        errors, slopes, sources = self.errors[kept], self.slopes[kept], self.sources[kept]
        names, counts = np.unique(sources, return_counts=True)
        size = dict(zip(names.tolist(), counts.tolist(), strict=True))
        even = np.array([1.0 / (size[s] * len(names)) for s in sources.tolist()])
        spreads = np.array([prior.spread for prior in PRIORS.values()])
        start = np.array([math.log(self.now[n] / prior.value) for n, prior in PRIORS.items()])
        highest = np.array([math.log(p.highest / self.now[n]) for n, p in PRIORS.items()])
        shift = np.zeros(len(PRIORS))
        pull = 2 * PULL / spreads**2
        for _ in range(ROUNDS):
            left = errors + slopes @ shift
            # Weighted squares that stand for absolute errors, those of outliers bounded.
            weight = even / np.maximum(np.abs(left), 0.02)
            weight *= np.abs(left) < LARGEST_ERROR
            normal = (slopes.T * weight) @ slopes + np.diag(pull)
            shift = np.linalg.solve(normal, -(slopes.T * weight) @ errors - pull * start)
            shift = np.clip(shift, -FARTHEST * spreads - start, FARTHEST * spreads - start)
            shift = np.minimum(shift, highest)
        found = {n: self.now[n] * math.exp(d) for n, d in zip(PRIORS, shift.tolist(), strict=True)}
        return moved(self.tables, found)

    def left_out(self) -> list[Residual]:
        """Each source's residuals under constants fitted to all others; memory has none to fit."""
        found = []
        for source in dict.fromkeys(one.source for one in self.residuals):
            constants = constants_from(self.fit(without=source), "fit")
            found += self.under(constants, only=source)
        return found


def moved(tables: Tables, values: Mapping[str, float]) -> Tables:
    """A copy of `tables` with other values."""
    copy = deepcopy(tables)
    for name, value in values.items():
        kind, *rest = name.split(".")
        table: dict[str, object] = copy[kind] if kind == "universal" else copy[kind][rest[0]]  # type: ignore[assignment]  # TOML nests unevenly
        table[rest[-1]] = value
    return copy


def _get(tables: Tables, name: str) -> float:
    kind, *rest = name.split(".")
    table = tables[kind] if kind == "universal" else tables[kind][rest[0]]
    return float(str(table[rest[-1]]))


def main() -> None:
    """Read the arguments and do what they ask."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("csv", type=Path, nargs="+")
    parser.add_argument("--fit", action="store_true")
    parser.add_argument("--intervals", type=Path, metavar="FILE.toml")
    arguments = parser.parse_args()
    rows = [row for path in arguments.csv for row in read_rows(path)]
    packaged = files("prodtop.engine.planner.cost").joinpath("calibration.toml")
    tables: Tables = tomllib.loads(packaged.read_text(encoding="utf-8"))
    problem = Problem(rows, tables)
    if arguments.fit:
        fitted = problem.fit()
        for name, prior in PRIORS.items():
            print(
                f"{name} = {_get(fitted, name):.4g}  # {problem.now[name]:g}, from {prior.value:g}"
            )
        print_scores(problem.residuals, problem.under(constants_from(fitted, "fit")), "fitted")
        return
    left_out = problem.left_out()
    print_scores(problem.residuals, left_out, "left out")
    for metric, share in coverage(left_out).items():
        print(f"80 % intervals of {metric}, their source left out: hold {share:.1%} of the runs")
    if arguments.intervals:
        write_intervals(left_out, arguments.intervals)


if __name__ == "__main__":
    main()
