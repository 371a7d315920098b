"""The form as lines: groups, values, the chosen field's knob, and under a field what is wrong with
it or what follows from it."""

from collections.abc import Mapping
from dataclasses import dataclass

from ....engine.planner.question.options import FORM
from ....engine.planner.question.parsers import ALL, AUTO
from ....engine.planner.question.question import ReferenceData
from ....engine.protocol.wording import counted
from ...drawing.line import EMPTY, Line, Piece, clipped, in_glyphs, line, muted, strong, wrapped
from ...planner.form import Form
from ...planner.plan import Plan
from ...planner.units import gib, parameters
from ...style.glyphs import Glyphs
from ...style.inks import Ink
from ..panel import Room

LABEL = 11


@dataclass(frozen=True, slots=True)
class FormView:
    """All lines of the form, and which of them the chosen field takes: those stay in sight."""

    lines: tuple[Line, ...]
    first: int
    last: int


def form_view(
    form: Form, errors: Mapping[str, str], derived: Mapping[str, str], room: Room, *, focused: bool
) -> FormView:
    """`derived` are words under a field, such as the shape of the chosen model."""
    lines: list[Line] = []
    first = last = 0
    group = ""
    for key, field in FORM.items():
        if field.group != group:
            if lines:
                lines.append(EMPTY)
            lines.append(line(Piece(field.group, Ink.TITLE)))
            group = field.group
        chosen = key == form.key
        if chosen:
            first = len(lines)
        lines.append(_field(form, key, errors, room, chosen=chosen, focused=focused))
        if key in errors:
            reason = wrapped(in_glyphs(errors[key], room.glyphs), room.width - 2)
            lines += [line("  ", Piece(row, Ink.BAD)) for row in reason]
        elif derived.get(key):
            lines += [line("  ", muted(row)) for row in wrapped(derived[key], room.width - 2)]
        if chosen:
            last = len(lines) - 1
    return FormView(tuple(lines), first, last)


def _field(
    form: Form,
    key: str,
    errors: Mapping[str, str],
    room: Room,
    *,
    chosen: bool,
    focused: bool,
) -> Line:
    glyphs, wrong, field = room.glyphs, key in errors, FORM[key]
    sign = glyphs.cross if wrong else glyphs.pointer if chosen and focused else " "
    label_ink = Ink.BAD if wrong else Ink.TEXT if chosen else Ink.MUTED
    label = Piece(f"{sign} {field.label}".ljust(LABEL + 2), label_ink)
    width = room.width - LABEL - 2
    return line(label, _value(form, key, glyphs, width, chosen=chosen and focused, wrong=wrong))


def _value(form: Form, key: str, glyphs: Glyphs, width: int, *, chosen: bool, wrong: bool) -> Line:
    if chosen and form.editing is not None:
        text, caret = form.editing.text, form.editing.caret
        if form.editing.selected and text:
            return line(Piece(text[-width:], Ink.SELECTED))
        start = max(0, caret - (width - 2))
        before, at, after = text[start:caret], text[caret : caret + 1] or " ", text[caret + 1 :]
        room = max(0, width - len(before) - 1)
        return line(strong(before), Piece(at, Ink.SELECTED), strong(after[:room]))
    text = form.texts[key]
    unit = FORM[key].unit if text not in (AUTO, ALL) else ""
    ink = Ink.BAD if wrong else Ink.STRONG if text != AUTO else Ink.MUTED
    in_room = clipped(line(Piece(text, ink)), width - 4, glyphs)
    if chosen:
        value = line(
            Piece(glyphs.knob_left, Ink.ACCENT),
            Piece(f" {in_room.plain} ", Ink.SELECTED),
            Piece(glyphs.knob_right, Ink.ACCENT),
        )
    else:
        value = line("  ", in_room)
    whole = line(value, muted(f" {unit}")) if unit else value
    return whole if whole.width <= width else value


def derived_words(plan: Plan, data: ReferenceData, glyphs: Glyphs) -> dict[str, str]:
    """What follows from the values of fields, by key: the model's shape, nodes, replicas."""
    model, where, layout = plan.model, plan.cluster, plan.layout
    dot, times = f" {glyphs.dot} ", glyphs.times
    shape = [
        f"{parameters(model.parameters)}",
        f"{counted(model.layers, 'layer')} {times} {model.hidden}",
        counted(model.heads, "head")
        + (f"/{model.kv_heads}" if model.kv_heads != model.heads else ""),
        f"ffn {model.intermediate}",
    ]
    if model.experts is not None:
        shape[1:1] = [f"{parameters(model.active_parameters)} active"]
        shape[-1] = f"{counted(model.experts.count, 'expert')} of {model.experts.intermediate}"
    nodes = f"{counted(where.nodes, 'node')} of {where.node_gpus}"
    many = layout.micro_batches
    return {
        "model": dot.join(shape),
        "gpu": dot.join(
            [
                f"{gib(where.gpu.memory_bytes)} GiB",
                f"{where.gpu.peak_flops(layout.precision) / 1e12:.0f} TFLOP/s",
                *([where.gpu.note] if where.gpu.note else []),
            ]
        ),
        "gpus": nodes,
        "price": _price(plan, data),
        "framework": data.origin(where.gpu.key),
        "micro_batch": f"{counted(layout.dp, 'replica')} {times} {counted(many, 'micro-batch')}",
    }


def _price(plan: Plan, data: ReferenceData) -> str:
    listed = data.prices.get(plan.cluster.gpu.key)
    if listed is None or plan.price != listed.usd_per_hour:
        return "" if plan.price is not None else "no list price: none is shown"
    return f"${listed.usd_per_hour:.2f} listed on {listed.date}"
