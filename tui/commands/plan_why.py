"""In words and numbers: why the winner wins, what would turn it, and what training comes to."""

from collections.abc import Iterable, Iterator

from rich.text import Text

from ...engine.planner.cost.memory import GIB
from ...engine.planner.explain.break_even import BreakEven
from ...engine.planner.explain.verdict import Difference, Verdict
from ...engine.protocol.wording import counted
from ..planner.units import gib, long_time, money, seconds
from ..style.formatting import energy, percent
from .plan_report import Report

MOST_PARTS = 3
"""Parts that are named for and against the winner."""
SMALLEST_PART = 0.05
"""Parts below this share of the largest difference are not named."""
NEVER = "at no bandwidth or batch within a factor of 64 of these, nor with less memory"


def why(report: Report) -> Iterator[Text]:
    """Lines below the tables."""
    if report.verdict is not None:
        yield _verdict(report.verdict)
    more, winner = report.more_memory, report.result.winner
    if more is not None:
        line = f"With {gib(more.memory.total)} GiB a GPU: {more.layout.shorthand}"
        gain = "" if winner is None else f", {percent(1 - more.step_s / winner.step_s)} less time"
        yield Text(f"{line}, {seconds(more.step_s)} a step{gain}.")
    if report.more_gpus is not None and report.more_gpus.winner is not None:
        first = report.more_gpus.winner
        gpus = f"With {counted(report.more_gpus.setting.cluster.gpus, 'GPU', grouped=True)} it fits"
        yield Text(f"{gpus}: {first.layout.shorthand}, {seconds(first.step_s)} a step.")
    if report.question.tokens is not None and report.detailed is not None:
        yield _training(report)


def _verdict(verdict: Verdict) -> Text:
    winner, other = verdict.winner, verdict.runner_up
    slower_s = other.step_s - winner.step_s
    text = Text()
    text.append("Why: ", style="bold")
    text.append(winner.layout.shorthand, style="bold")
    text.append(f" takes {seconds(slower_s)} ({percent(slower_s / winner.step_s)}) less than ")
    text.append(f"{other.layout.shorthand}: ")
    text.append(_parts(verdict.time, ahead=True) or "no part speaks for it alone")
    against = _parts(verdict.time, ahead=False)
    if against:
        text.append(f"; against it: {against}")
    text.append(".\n")
    text.append("The runner-up would win ")
    text.append("; ".join(map(_break_even, verdict.break_evens)) or NEVER)
    text.append(".")
    return text


def _parts(parts: Iterable[Difference], *, ahead: bool) -> str:
    """The largest parts that speak for the winner (`ahead`) or against it."""
    ordered = list(parts)
    least = SMALLEST_PART * abs(ordered[0].difference) if ordered else 0.0
    named = [
        f"{part.name} {_signed(-part.difference)}"
        for part in ordered
        if (part.difference > 0) is ahead and abs(part.difference) >= least
    ]
    return ", ".join(named[:MOST_PARTS])


def _signed(value_s: float) -> str:
    return f"{'−' if value_s < 0 else '+'}{seconds(abs(value_s))}"


def _break_even(point: BreakEven) -> str:
    match point.knob:
        case "memory":
            return f"below a limit of {point.value / GIB:.1f} GiB, where the winner does not fit"
        case "batch":
            side = "or fewer" if point.value < point.now else "or more"
            return f"with a batch of {point.value:,.0f} {side} (now {point.now:,.0f})"
        case "network" | "link":
            name = "a network" if point.knob == "network" else "links in the node"
            side = "below" if point.value < point.now else "above"
            return f"with {name} {side} {point.value / 1e9:,.1f} GB/s (now {point.now / 1e9:,.1f})"


def _training(report: Report) -> Text:
    question, one = report.question, report.detailed
    assert question.tokens is not None
    assert one is not None
    run_s = one.training_s(question.tokens)
    hours = run_s / 3600 * one.layout.world
    power = energy(one.training_energy_j(question.tokens))
    text = Text()
    text.append(f"Training on {question.tokens:.3g} tokens: ", style="bold")
    text.append(f"{long_time(run_s)}, {hours:,.0f} GPU-hours, {power}")
    if question.price is not None:
        cost = one.training_cost(question.tokens, question.price)
        text.append(f", {money(cost)} at {question.price:g} a GPU-hour")
    text.append(". Restarts and evaluation come on top.")
    return text
