"""The main figures of a plan, one a row; each opens into its formula."""

from ....engine.planner.cost.estimate import Estimate
from ....engine.planner.explain.memory import MEMORY
from ....engine.planner.explain.step import STEP
from ....engine.protocol.wording import counted
from ...drawing.line import Line, Piece, facts, in_glyphs, line, muted, strong
from ...planner.evaluation import Evaluation
from ...planner.tree import scaling_base
from ...planner.units import amount, gib, long_time, money, seconds
from ...style.formatting import MISSING, energy, percent, si
from ...style.inks import Ink
from ..panel import Room, Row, RowsView
from .common import panel_title, verdict

LABEL = 14

Entry = tuple[str, str | None, list[Line]]
"""A row's label, the figure whose formula it opens, and its facts, the most needed first."""


def summary_view(evaluation: Evaluation, room: Room, note: str = "") -> RowsView:
    """`note` says what the figures are of where the form holds an error."""
    entries = [*_step(evaluation, room), *_training(evaluation), *_scaling(evaluation, room)]
    width = room.width - LABEL - 1
    rows = tuple(
        Row(
            line(" ", Piece(name.ljust(LABEL), Ink.MUTED), facts(parts, width, room.glyphs)),
            target,
        )
        for name, target, parts in entries
    )
    figures = line(strong(in_glyphs(evaluation.estimate.layout.shorthand, room.glyphs)))
    return RowsView(panel_title("Your layout", note), figures, rows=rows)


def _step(evaluation: Evaluation, room: Room) -> list[Entry]:
    result, limit = evaluation.estimate, evaluation.plan.limit_bytes
    memory = result.memory.total
    share = memory / limit
    word, ink, sign = verdict(share, room.glyphs)
    used = line(strong(f"{gib(memory)}/{gib(limit)}"), muted(" GiB "), Piece(sign, ink))
    said = line(used, Piece(f" {word}", ink))
    fitting = [said, line(percent(share))] if said.width <= room.width - LABEL - 1 else [used]
    speed = line(strong(si(result.tokens_s)), muted(" tok/s"))
    return [
        ("memory", MEMORY, fitting),
        ("step", STEP, _sure(result, room)),
        ("throughput", "throughput", [speed, line(si(result.tokens_s_gpu), muted("/GPU"))]),
        ("MFU", "MFU", [line(strong(percent(result.mfu()))), _hfu(result)]),
        (
            "communication",
            "communication overhead",
            [line(percent(result.communication_share), muted(" of the step"))],
        ),
        (
            "bubble",
            "bubble share",
            [line(percent(result.time.bubble_s / result.step_s), muted(" of the step"))],
        ),
    ]


def _sure(result: Estimate, room: Room) -> list[Line]:
    """The step with its interval, and what that rests on."""
    found = result.step_interval
    spread = f" {room.glyphs.plus_minus} {percent(found.spread)}"
    basis = f"{found.runs} runs" if found.own else "no runs of its class"
    return [line(strong(seconds(result.step_s)), spread), line(muted(basis))]


def _hfu(result: Estimate) -> Line:
    return line(muted("HFU "), percent(result.hfu()))


def _training(evaluation: Evaluation) -> list[Entry]:
    result, plan = evaluation.estimate, evaluation.plan
    training_s = result.training_s(plan.tokens)
    gpu_hours = training_s / 3600 * result.layout.world
    cost = [line(MISSING), line(muted("no price"))]
    if plan.price is not None:
        total = money(result.training_cost(plan.tokens, plan.price))
        cost = [line(f"${total}"), line(muted(f"at ${plan.price:g} a GPU-hour"))]
    joules = result.training_energy_j(plan.tokens)
    return [
        (
            f"train on {amount(plan.tokens)}",
            "training time",
            [line(strong(long_time(training_s))), line(si(gpu_hours), muted(" GPU-hours"))],
        ),
        ("cost", None if plan.price is None else "cost", cost),
        ("energy", "energy", [line(energy(joules)), line(muted("GPUs alone"))]),
    ]


def _scaling(evaluation: Evaluation, room: Room) -> list[Entry]:
    result = evaluation.estimate
    base = scaling_base(evaluation.fixed)
    efficiency = None if base is None else result.tokens_s_gpu / base.tokens_s_gpu
    gpus = "" if base is None else _gpus(base.layout.world)
    bound = f"{room.glyphs.times}{si(result.amdahl_speedup)}"
    return [
        (
            "scaling",
            None if base is None else "scaling efficiency",
            [line(percent(efficiency)), *([line(muted(f"of {gpus}"))] if gpus else [])],
        ),
        ("samples", "samples per second", [line(si(result.samples_s), muted(" seq/s"))]),
        ("Amdahl", "Amdahl's bound", [line(bound, muted(" at the most"))]),
    ]


def _gpus(count: int) -> str:
    return "one GPU's speed" if count == 1 else f"{counted(count, 'GPU')}' speed"
