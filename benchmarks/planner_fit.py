"""Fit the planner's constants to published runs, and say how well they hold for unseen sources.

    python benchmarks/planner_fit.py runs.csv              # scores of the packaged constants
    python benchmarks/planner_fit.py runs.csv --fit        # fit all, print constants and scores
    python benchmarks/planner_fit.py runs.csv --leave-out  # fit without each source, score it

Every constant starts at its physical value (a data sheet, a paper, a microbenchmark) and pays for
leaving it, so that runs move it only as far as they must. Sources count alike, however many rows
they have. The search is a coordinate descent: plain, deterministic, without further packages.
"""

import argparse
import math
import tomllib
from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path

from planner_scoring.cells import Row
from planner_scoring.rows import Run, parse_run
from planner_scoring.scoring import Report, Summary, percentile, read_rows, score
from prodtop.engine.planner.cost.calibration import Constants, constants_from
from prodtop.engine.planner.cost.estimate import estimate
from prodtop.engine.shape.field_errors import FieldError

Tables = dict[str, dict[str, dict[str, object]]]


@dataclass(frozen=True)
class Prior:
    """A constant's physical value, how far it may stray (as a factor's logarithm), its ceiling."""

    value: float
    spread: float
    highest: float = math.inf


PRIORS = {
    "universal.attention_half_tokens": Prior(512, 0.5),
    "universal.expert_gemm": Prior(0.8, 0.2, 1.0),
    "universal.moe_kernels": Prior(150, 0.2),
    "universal.expert_kernels": Prior(10, 0.2),
    "universal.contention": Prior(0.05, 0.5, 0.3),
    "universal.context_penalty": Prior(0.2, 0.4),
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
    "software.megatron-2021.elementwise": Prior(1.3, 0.25),
    "software.megatron-2021.step_s": Prior(0.01, 0.5),
    "software.megatron-2021.straggler": Prior(0.005, 0.5),
    "software.megatron-deepspeed.dispatch_s": Prior(15e-6, 0.3),
    "software.megatron-deepspeed.step_s": Prior(0.01, 0.6),
    "software.megatron-deepspeed.straggler": Prior(0.01, 0.6),
    "software.fsdp-2023.elementwise": Prior(1.6, 0.25),
    "software.fsdp-2023.logit_bytes": Prior(30, 0.3),
    "software.fsdp-2023.straggler": Prior(0.005, 0.5),
    "software.torch.elementwise": Prior(2.7, 0.2),
    "software.torch.straggler": Prior(0.005, 0.5),
    "software.torch-compile.elementwise": Prior(1.0, 0.25),
    "software.megatron-core.elementwise": Prior(1.1, 0.25),
    "software.megatron-core.tp_overlap": Prior(0.5, 0.5, 0.95),
    "software.megatron-core.fp8_cast": Prior(6, 0.4),
    "software.megatron-core.dispatch_s": Prior(7e-6, 0.3),
    "software.megatron-core.tensor_s": Prior(5e-5, 0.6),
    "software.megatron-core.straggler": Prior(0.005, 0.5),
    "software.megatron-bridge.elementwise": Prior(0.95, 0.25),
    "software.megatron-bridge.tp_overlap": Prior(0.8, 0.3, 0.95),
    "software.nanotron.elementwise": Prior(1.6, 0.3),
}
PULL = 0.002
"""Cost of one spread's departure, in units of mean error: a constant moves for real gains only."""
LARGEST_ERROR = 0.5
"""Errors beyond this count as this much: a few broken rows must not bend the machine."""
ROWS_PER_SOURCE = 70
"""Rows of one source that a fit looks at, evenly spread; scores always use all."""


class Problem:
    """Runs with a time, and their errors under given constants."""

    def __init__(self, rows: Iterable[Row], constants: Constants) -> None:
        self.runs: list[Run] = []
        for row in rows:
            try:
                run = parse_run(row, constants)
            except FieldError:
                continue
            if run.step_s is not None or run.tokens_s_gpu is not None:
                self.runs.append(run)

    @property
    def sources(self) -> list[str]:
        """Sources in the table's order."""
        return list(dict.fromkeys(run.source for run in self.runs))

    def thinned(self, without: str | None = None) -> list[Run]:
        """The runs that a fit looks at."""
        thinned = []
        for source in self.sources:
            runs = [run for run in self.runs if run.source == source != without]
            step = max(1, -(-len(runs) // ROWS_PER_SOURCE))
            thinned += runs[::step]
        return thinned


def log_error(run: Run, constants: Constants) -> float:
    """Logarithm of predicted over measured step time."""
    stated = run.setting.software
    software = constants.software[stated.name]
    software = replace(
        software,
        attention=stated.attention,
        tp_overlap=max(software.tp_overlap, stated.tp_overlap if stated.tp_overlap == 0.5 else 0),
    )
    setting = replace(run.setting, constants=constants, software=software)
    guess = estimate(setting, run.layout, checked=False)
    if run.step_s is not None:
        return math.log(guess.step_s / run.step_s)
    assert run.tokens_s_gpu is not None
    return math.log(run.tokens_s_gpu / guess.tokens_s_gpu)


class Fit:
    """A coordinate descent over `PRIORS` on some runs."""

    def __init__(self, runs: list[Run], tables: Tables) -> None:
        self.runs = runs
        self.values = {name: prior.value for name, prior in PRIORS.items()}
        self.tables = deepcopy(tables)
        for name, value in self.values.items():
            _put(self.tables, name, value)
        self.constants = constants_from(self.tables, "fit")
        self.errors = [log_error(run, self.constants) for run in runs]
        self.counts = {s: sum(r.source == s for r in runs) for s in {r.source for r in runs}}

    def loss(self, errors: list[float], values: Mapping[str, float]) -> float:
        """Mean over sources of the mean capped error, and the pull towards the priors."""
        total = 0.0
        for run, error in zip(self.runs, errors, strict=True):
            total += min(abs(error), LARGEST_ERROR) / self.counts[run.source]
        away = sum(
            (math.log(values[name] / prior.value) / prior.spread) ** 2
            for name, prior in PRIORS.items()
        )
        return total / len(self.counts) + PULL * away

    def _try(self, name: str, value: float, best: float) -> float:
        """Take `value` where it lowers the loss; returns the loss that holds now."""
        tables = deepcopy(self.tables)
        _put(tables, name, value)
        constants = constants_from(tables, "fit")
        errors = list(self.errors)
        for index, run in enumerate(self.runs):
            if _touches(run, self.constants, constants):
                errors[index] = log_error(run, constants)
        values = {**self.values, name: value}
        loss = self.loss(errors, values)
        if loss < best - 1e-6:
            self.tables, self.constants = tables, constants
            self.errors, self.values = errors, values
            return loss
        return best

    def run(self, rounds: int = 5) -> None:
        """Walk every constant up and down, in steps that halve from round to round."""
        best = self.loss(self.errors, self.values)
        for turn in range(rounds):
            for name, prior in PRIORS.items():
                step = prior.spread * 0.6 * 0.6**turn
                for sign in (1, -1):
                    value = min(prior.highest, self.values[name] * math.exp(sign * step))
                    better = self._try(name, value, best)
                    if better < best:
                        best = better
                        break


def _touches(run: Run, old: Constants, new: Constants) -> bool:
    key, name = run.setting.cluster.gpu.key, run.setting.software.name
    return (
        old.universal != new.universal
        or old.gpu(key) != new.gpu(key)
        or old.software[name] != new.software[name]
    )


def _put(tables: Tables, name: str, value: float) -> None:
    kind, *rest = name.split(".")
    table: dict[str, object] = tables[kind] if kind == "universal" else tables[kind][rest[0]]  # type: ignore[assignment]  # TOML nests unevenly
    table[rest[-1]] = value


def _line(label: str, summary: Summary) -> str:
    trivial = ""
    if summary.baseline_mean is not None and summary.baseline_median is not None:
        trivial = f" {summary.baseline_mean:8.1%} {summary.baseline_median:8.1%}"
    errors = f"{summary.mean:7.1%} {summary.median:7.1%} {summary.p90:7.1%} {summary.signed:+7.1%}"
    return f"{label[:40]:40} {summary.rows:4} {errors}{trivial}"


def print_report(report: Report) -> None:
    """One line a source, beside the baseline of one MFU per source."""
    print(f"{'':40} rows    mean  median     p90  signed  baseline mean, median")
    for metric in ("time", "memory"):
        for source in [*report.sources(metric), None]:
            summary = report.summary(metric, source)
            if summary is not None:
                print(_line(f"{metric} {source or 'all'}", summary))
    for skipped in report.skipped:
        print(f"not scored: row {skipped.row} ({skipped.source}): {skipped.reason}")


def leave_out(problem: Problem, tables: Tables) -> None:
    """Fit without each source in turn and score it."""
    everything: list[float] = []
    for source in problem.sources:
        fit = Fit(problem.thinned(without=source), tables)
        fit.run(rounds=4)
        left_out = [run for run in problem.runs if run.source == source]
        signed = [math.exp(log_error(run, fit.constants)) - 1 for run in left_out]
        everything += [abs(error) for error in signed]
        errors = sorted(abs(error) for error in signed)
        mean = sum(errors) / len(errors)
        print(
            f"left out {source[:40]:40} {len(errors):4} mean {mean:6.1%} "
            f"median {percentile(errors, 0.5):6.1%} p90 {percentile(errors, 0.9):6.1%} "
            f"signed {sum(signed) / len(signed):+6.1%}",
            flush=True,
        )
    everything.sort()
    mean = sum(everything) / len(everything)
    print(
        f"left out, all rows: mean {mean:.1%}, median {percentile(everything, 0.5):.1%}, "
        f"p90 {percentile(everything, 0.9):.1%}"
    )


def main() -> None:
    """Read the arguments and do what they ask."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("csv", type=Path)
    parser.add_argument("--fit", action="store_true")
    parser.add_argument("--leave-out", action="store_true")
    arguments = parser.parse_args()
    rows = read_rows(arguments.csv)
    packaged = files("prodtop.engine.planner").joinpath("calibration.toml")
    tables: Tables = tomllib.loads(packaged.read_text(encoding="utf-8"))
    problem = Problem(rows, constants_from(tables, "calibration.toml"))
    if arguments.fit:
        fit = Fit(problem.thinned(), tables)
        fit.run()
        for name, value in fit.values.items():
            print(f"{name} = {value:.4g}  # from {PRIORS[name].value:g}")
        print_report(score(rows, fit.constants))
    elif arguments.leave_out:
        leave_out(problem, tables)
    else:
        print_report(score(rows))


if __name__ == "__main__":
    main()
