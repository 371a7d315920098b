"""The main figures of a plan, one a row; each opens into its formula."""

from ....engine.planner.explain_figures import BUSY_POWER
from ...formatting import MISSING, percent, si
from ...look import Ink
from ...planner.answer import Answer
from ...planner.opened import MEMORY, STEP, scaling_base
from ...planner.units import amount, energy, gib, long_time, money, seconds
from ..line import Line, Piece, facts, line, muted, strong
from ..panel import Room
from ..rows import Row, RowsView
from .common import fit_text, panel_title

LABEL = 15


def summary_view(shown: Answer, room: Room, note: str = "") -> RowsView:
    """`note` says what the figures are of where the form holds an error."""
    result, plan = shown.estimate, shown.plan
    memory, time = result.memory, result.time
    base = scaling_base(shown.fixed)
    efficiency = None if base is None else result.tokens_s_gpu / base.tokens_s_gpu
    hours = result.training_s(plan.tokens) / 3600 * result.layout.world
    cost = None if plan.price is None else result.training_cost(plan.tokens, plan.price)
    limit_gib = f"{gib(memory.total)} / {gib(plan.limit_bytes)}"
    entries: list[tuple[str, str, list[Line]]] = [
        (
            "memory",
            MEMORY,
            [
                line(strong(limit_gib), muted(" GiB")),
                line(fit_text(memory.total, plan.limit_bytes, room.glyphs)),
            ],
        ),
        ("step", STEP, [line(strong(seconds(result.step_s)))]),
        (
            "throughput",
            "throughput",
            [
                line(strong(si(result.tokens_s)), muted(" tok/s")),
                line(si(result.tokens_s_gpu), muted("/GPU")),
            ],
        ),
        ("samples", "samples per second", [line(si(result.samples_s), muted(" seq/s"))]),
        (
            "MFU",
            "MFU",
            [
                line(strong(percent(result.mfu()))),
                line(muted("HFU "), percent(result.hfu)),
            ],
        ),
        (
            "communication",
            "communication overhead",
            [line(percent(result.communication_share), muted(" of the step"))],
        ),
        ("bubble", "bubble share", [line(percent(time.bubble_s / result.step_s), muted(" of it"))]),
        (
            "scaling",
            "scaling efficiency",
            [
                line(percent(efficiency)),
                line(muted("of 1 GPU's" if base and base.layout.world == 1 else _base_text(base))),
            ],
        ),
        (
            "Amdahl",
            "Amdahl's bound",
            [line(f"{room.glyphs.times}{si(result.amdahl_speedup)}", muted(" at the most"))],
        ),
        (
            f"train on {amount(plan.tokens)}",
            "training time",
            [
                line(strong(long_time(result.training_s(plan.tokens)))),
                line(muted(f"{si(hours)} GPU-hours")),
            ],
        ),
        (
            "cost",
            "cost",
            [line(MISSING if cost is None else money(cost)), line(muted(_price(plan.price)))],
        ),
        (
            "energy",
            "energy",
            [
                line(energy(result.training_energy_j(plan.tokens, BUSY_POWER))),
                line(muted("GPUs alone")),
            ],
        ),
    ]
    width = room.width - LABEL - 1
    rows = tuple(
        Row(
            line(" ", Piece(name.ljust(LABEL), Ink.MUTED), facts(parts, width, room.glyphs)),
            None if name == "cost" and cost is None else target,
        )
        for name, target, parts in entries
    )
    figures = line(strong(result.layout.shorthand))
    return RowsView(panel_title("Your layout", note), figures, rows=rows)


def _base_text(base: object) -> str:
    world = getattr(getattr(base, "layout", None), "world", None)
    return "" if world is None else f"of {world} GPUs'"


def _price(price: float | None) -> str:
    return "set a price" if price is None else f"at {price:g} a GPU-hour"
