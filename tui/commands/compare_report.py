"""What becomes of a comparison: reports, a recommendation, a judgement, and the exit code."""

from dataclasses import dataclass
from pathlib import Path

import msgspec

from ...engine.compare.against import Judgement, Rule, judge, parse_rule, require_same_work
from ...engine.compare.cells import Comparison
from ...engine.compare.curves import curves
from ...engine.compare.html_report import Report
from ...engine.compare.insights import insights
from ...engine.compare.json_report import json_report
from ...engine.compare.matrix import cell_labelled, filtered, matrix, sorted_rows
from ...engine.compare.metrics import METRICS, Metric
from ...engine.compare.quality_lines import retentions
from ...engine.compare.recommend import Wishes, recommend
from ...engine.compare.samples import Limits
from ...engine.protocol import PrecisionName
from ...engine.protocol.errors import BadInputError, ProdtopError
from ...engine.text.cleaning import clean
from .compare_file import read_comparison, read_lines, write_exports
from .compare_measure import CANCELLED, Outcome
from .compare_output import print_report


class RegressionError(ProdtopError):
    """A rule of `--fail-on` failed."""

    exit_code = 3


class CancelledError(ProdtopError):
    """ctrl+c: the exit code is the one that shells give to SIGINT."""

    exit_code = 130


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked of a comparison once it is there."""

    metrics: list[Metric]
    sort: Metric | None
    baseline: str | None
    only: str | None
    limits: Limits
    wishes: Wishes | None
    retention: dict[PrecisionName, float] | None
    judged: tuple[Comparison, list[Rule]] | None
    exports: list[Path]
    json: bool


def read_quality(path: Path) -> dict[PrecisionName, float]:
    """The retention by precision. Raises `BadInputError`."""
    return retentions(read_lines(path, "--quality"), f"--quality {clean(str(path))}")


def read_baseline(path: Path | None, rules: list[str]) -> tuple[Comparison, list[Rule]] | None:
    """The baseline and its rules, before anything is measured. Raises `BadInputError`."""
    parsed = [parse_rule(text) for text in rules]
    if path is None:
        if parsed:
            raise BadInputError("--fail-on needs --against FILE: what to compare with")
        return None
    return read_comparison(path, "--against"), parsed


def finish(outcome: Outcome, wanted: Wanted) -> None:
    """Print and write all that is wanted. Raises `ProdtopError` with the exit code where something
    failed: a rule, a cell, or that it was cancelled."""
    if wanted.judged is not None:
        require_same_work(wanted.judged[0], outcome.comparison)
    report = _report(outcome.comparison, wanted)
    if wanted.json:
        found = json_report(report, limits=wanted.limits, stopped=outcome.stopped)
        print(msgspec.json.encode(found).decode())
    else:
        print_report(report)
    if wanted.exports:
        write_exports(wanted.exports, report, wanted.limits)
    _raise_for(outcome, report.judgements)


def _report(comparison: Comparison, wanted: Wanted) -> Report:
    metrics = wanted.metrics
    if wanted.limits.given() and METRICS["goodput_req_s"] not in metrics:
        metrics = [*metrics, METRICS["goodput_req_s"]]
    if wanted.sort is not None and wanted.sort not in metrics:
        metrics = [*metrics, wanted.sort]
    base = None if wanted.baseline is None else cell_labelled(comparison, wanted.baseline).cell
    found = matrix(comparison, metrics, limits=wanted.limits, baseline=base)
    rows = found.rows if wanted.only is None else filtered(found.rows, wanted.only)
    if wanted.sort is not None:
        rows = sorted_rows(rows, wanted.sort)
    judgements = (
        []
        if wanted.judged is None
        else judge(wanted.judged[0], comparison, wanted.judged[1], wanted.limits)
    )
    return Report(
        comparison=comparison,
        matrix=msgspec.structs.replace(found, rows=rows),
        insights=insights(comparison, wanted.limits),
        curves=curves(comparison, limits=wanted.limits),
        recommendation=None
        if wanted.wishes is None
        else recommend(comparison, wanted.wishes, wanted.retention),
        judgements=judgements,
    )


def _raise_for(outcome: Outcome, judgements: list[Judgement]) -> None:
    if outcome.stopped == CANCELLED:
        raise CancelledError("cancelled: what was measured is shown")
    broken = [each for each in judgements if each.failed]
    if broken:
        raise RegressionError(f"{len(broken)} of {len(judgements)} rules failed: {broken[0].text}")
    failures = [each for each in outcome.comparison.cells if each.failure is not None]
    if failures:
        raise ProdtopError(f"{len(failures)} cells failed: {failures[0].failure}")
    if not outcome.comparison.measured():
        raise ProdtopError("nothing was measured")
