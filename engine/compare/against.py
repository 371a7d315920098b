"""Judging a comparison against an earlier one: `output_tok_s<-5%` and the like."""

import re
from collections.abc import Callable, Sequence

import msgspec

from ..protocol.errors import BadInputError
from .cells import Comparison, Measured, label
from .median import Median, Verdict, compare
from .metrics import METRICS, measured_name, summary
from .samples import NO_LIMITS, Limits
from .wording import change, digits, figure

_RULE = re.compile(
    r"\s*(?P<metric>[\w.]+)\s*(?P<sign>[<>])\s*(?P<bound>[+-]?\d+(?:\.\d*)?|[+-]?\.\d+)\s*%\s*"
)


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """Fails where a metric's change from the baseline is below (or above) `percent`."""

    metric: str
    below: bool
    percent: float

    def is_broken_by(self, percent: float) -> bool:
        """Whether a change of so many per cent is beyond it."""
        return percent < self.percent if self.below else percent > self.percent

    def __str__(self) -> str:
        return f"{self.metric}{'<' if self.below else '>'}{self.percent:+g}%"


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule says of one cell. `before` or `now` is `None` where it was not measured."""

    cell: str
    rule: str
    before: Median | None
    now: Median | None
    failed: bool
    text: str


def parse_rule(text: str, named: Callable[[str], str] = measured_name) -> Rule:
    """`METRIC<PERCENT%` or `METRIC>PERCENT%`. `named` gives a metric's own name, and raises
    `BadInputError` where there is none. Raises `BadInputError`."""
    match = _RULE.fullmatch(text)
    if match is None:
        raise BadInputError(
            f"--fail-on '{text}' cannot be read: write METRIC<-PERCENT% or METRIC>+PERCENT%,"
            " for example 'output_tok_s<-5%'"
        )
    return Rule(
        metric=named(match["metric"]), below=match["sign"] == "<", percent=float(match["bound"])
    )


def require_same_work(baseline: Comparison, now: Comparison) -> None:
    """Raise `BadInputError` where the two did not do the same work, or have no cell in common."""
    before, after = msgspec.structs.asdict(baseline.work), msgspec.structs.asdict(now.work)
    # Another build of the device or the model is what a comparison may be about.
    differing = [
        f"{name} {before[name]} and {after[name]}"
        for name in before
        if before[name] != after[name] and name in ("load_format", "requests", "warmup")
    ]
    if differing:
        raise BadInputError(
            f"--against was measured with other work ({', '.join(differing)}):"
            " its figures cannot stand beside these"
        )
    if not any(baseline.find(each.cell) is not None for each in now.cells):
        raise BadInputError(
            "--against has none of these cells (strategy, precision, load and settings):"
            " there is nothing to compare"
        )


def judge(
    baseline: Comparison, now: Comparison, rules: Sequence[Rule], limits: Limits = NO_LIMITS
) -> list[Judgement]:
    """Every rule on every cell that was asked for and that the baseline has measured."""
    cells = [each.cell for each in now.cells]
    return [
        _judge(rule, label(measured.cell, cells), (baseline, before), (now, measured), limits)
        for measured in now.cells
        if (before := baseline.find(measured.cell)) is not None and before.repeats
        for rule in rules
    ]


def _judge(
    rule: Rule,
    name: str,
    before: tuple[Comparison, Measured],
    now: tuple[Comparison, Measured],
    limits: Limits,
) -> Judgement:
    metric = METRICS[rule.metric]
    old, new = (summary(of, each, metric, limits) for of, each in (before, now))
    failed, text = _verdict(rule, old, new, now[1])
    values = "" if old is None else figure(old.value, metric.unit)
    if new is not None and old is not None:
        values += f" → {figure(new.value, metric.unit)}"
    return Judgement(
        cell=name,
        rule=str(rule),
        before=old,
        now=new,
        failed=failed,
        text=f"{name}: {metric.label} {values or '--'}, {text}",
    )


def _verdict(
    rule: Rule, old: Median | None, new: Median | None, measured: Measured
) -> tuple[bool, str]:
    """Whether the rule fails, and why."""
    if old is None:
        return False, "not measured in the baseline"
    if new is None:
        return True, f"and now not measured: {measured.failure or measured.skipped or 'no result'}"
    if old.value == 0:
        return False, "no percentage of 0"
    percent = (new.value / old.value - 1) * 100
    beyond = rule.is_broken_by(percent)
    difference = compare(new, old)
    by = change(old.value, new.value)
    if difference is Verdict.UNDECIDED:
        return False, f"{by} by the medians: {difference.value}"
    if difference is Verdict.NO_DIFFERENCE:
        return False, f"{difference.value} ({by} by the medians)"
    side = "beyond" if beyond else "within"
    return beyond, f"{by}, {side} {digits(rule.percent)} %"
