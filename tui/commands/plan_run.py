"""What a plan's tuning and its long run come to: lines of the table, and their JSON."""

import math
from collections.abc import Iterable
from dataclasses import asdict

from ...engine.planner.cost.estimate import Estimate
from ...engine.planner.question.question import Question
from ...engine.planner.tuning.long_run import LongRun, long_run
from ...engine.planner.tuning.tuning import TunedStep, Tuning, adapter_parameters, tuned_step
from ..planner.units import parameters, seconds
from ..style.formatting import percent, si

Object = dict[str, object]


def run_of(one: Estimate, question: Question) -> LongRun | None:
    """The long run of a layout; `None` where no tokens are asked for."""
    if question.tokens is None:
        return None
    step, reality = tuned_step(one, question.tuning), question.reality
    return long_run(step.tokens_s, one, reality, question.tokens, question.price)


def tuning_object(one: Estimate, question: Question) -> Object:
    """A tuned step, in SI units."""
    step, tuning = tuned_step(one, question.tuning), question.tuning
    return {
        **asdict(tuning),
        "adapter_parameters": adapter_parameters(one.setting.model, tuning),
        **asdict(step),
        "total_s": step.total_s,
        "tokens_s": step.tokens_s,
    }


def run_object(one: Estimate, question: Question) -> Object | None:
    """A long run, in SI units; what is infinite is null."""
    run = run_of(one, question)
    if run is None:
        return None
    found: Object = {
        name: None if isinstance(value, float) and math.isinf(value) else value
        for name, value in asdict(run).items()
    }
    return {**asdict(question.reality), **found}


def run_lines(one: Estimate, question: Question) -> Iterable[str]:
    """Sentences about the tuning, where it is more than all weights and tokens, and the run."""
    tuning = question.tuning
    if tuning != Tuning():
        yield _tuned(one, tuning, tuned_step(one, tuning))
    run = run_of(one, question)
    if run is None:
        return
    cost = "" if run.cost is None else f", {run.cost:,.0f} $"
    yield (
        f"to {si(question.tokens or 0)} tok with failures: {seconds(run.seconds)}{cost}; goodput"
        f" {percent(run.goodput)}, data {si(run.data_bytes_s)}B/s"
    )
    if math.isfinite(run.mean_between_s):
        yield (
            f"a failure every {seconds(run.mean_between_s)}; a checkpoint takes"
            f" {seconds(run.checkpoint_s)}, best every {seconds(run.interval_s)}"
            f" (Daly; Young {seconds(run.young_s)})"
        )


def _tuned(one: Estimate, tuning: Tuning, step: TunedStep) -> str:
    adapters = adapter_parameters(one.setting.model, tuning)
    words = f"{tuning.method}, {tuning.objective}"
    if adapters:
        words += f", {parameters(adapters)} in adapters of rank {tuning.rank}"
    parts = f"update {seconds(step.update_s)}"
    if step.reference_s:
        parts += f", reference {seconds(step.reference_s)}"
    if tuning.objective == "grpo":
        rollout = step.rollout_s
        parts += ", rollout " + ("not counted" if rollout is None else seconds(rollout))
    rate = f"{si(step.tokens_s)} tok/s without padding"
    return f"{words}: step {seconds(step.total_s)} ({parts}), {rate}"
