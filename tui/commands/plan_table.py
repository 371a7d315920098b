"""The tables that `prodtop plan` prints."""

from collections.abc import Iterable, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from ...engine.planner.cost.estimate import Estimate
from ...engine.planner.cost.memory import GIB
from ...engine.planner.explain.memory import MEMORY_PARTS
from ...engine.planner.explain.step import STEP_PARTS
from ...engine.planner.search.search import distinct
from ...engine.protocol.wording import counted
from ...engine.text.cleaning import clean
from ..planner.units import gib, parameters, seconds
from ..style.formatting import percent, si
from .console import CleanConsole
from .plan_report import Report
from .plan_run import run_lines
from .plan_why import why

PIPED_WIDTH = 120
"""Columns where there is no terminal to ask: nothing is cut off."""
BAR_CELLS = 12
WIDE = 116
"""Columns from which all of a table is shown, and two side by side."""
FULLEST = 0.95
"""Share of the limit from which memory is shown as tight."""


def print_report(report: Report) -> None:
    """Print the report to stdout."""
    console = CleanConsole(PIPED_WIDTH)
    console.print(_heading(report))
    if report.result.limiting is not None:
        console.print(Text(f"nothing fits: {report.result.limiting.reason}", style="bold red"))
    for part in _parts(report, console):
        console.print(part)


def _parts(report: Report, console: Console) -> Iterable[RenderableType]:
    result = report.result
    if result.splits:
        one_split = len(result.splits) == 1
        layouts = result.best if one_split else result.splits
        title = "Fastest layouts" if one_split else "Fastest layouts, one of each split"
        yield _layouts(title, layouts, result.limit_bytes, console.width)
    if report.detailed is not None:
        yield from _breakdown(report.detailed, result.limit_bytes, console.width)
        yield from map(Text, run_lines(report.detailed, report.question))
    yield _strategies(report, console.width)
    if len(result.front) > 1:
        yield _front(result.front)
    yield from why(report)


def _heading(report: Report) -> Text:
    question, result = report.question, report.result
    setting, constraints = question.setting, question.constraints
    model, cluster = setting.model, setting.cluster
    size = parameters(model.parameters)
    if model.active_parameters < model.parameters:
        size += f", {parameters(model.active_parameters)} active"
    heads = f"{counted(model.heads, 'head')} over {model.kv_heads}"
    layers = counted(model.layers, "layer")
    shape = f"{layers}, hidden {model.hidden:,}, MLP {model.intermediate:,}, {heads}"
    tokens = constraints.batch * setting.sequence
    batch = f"{counted(constraints.batch, 'sequence', grouped=True)} of "
    batch += f"{counted(setting.sequence, 'token', grouped=True)} a step"
    text = Text()
    text.append(clean(model.name), style="bold")
    text.append(f"  {size} parameters: {shape}, vocabulary {model.vocabulary:,}\n")
    text.append(clean(f"{cluster.gpus:,} × {cluster.gpu.name}"), style="bold")
    text.append(f"  {cluster.nodes:,} × {counted(min(cluster.gpus, cluster.node_gpus), 'GPU')}, ")
    text.append(f"{gib(result.limit_bytes)} GiB each at most; {constraints.precision}, ")
    text.append(f"{constraints.optimizer}, {setting.software.name}\n")
    text.append(f"{batch} ({si(tokens)})\n")
    if cluster.gpu.note:
        text.append(f"{clean(f'{cluster.gpu.name}: {cluster.gpu.note}')}\n", style="yellow")
    text.append(
        f"{counted(result.considered, 'legal layout', grouped=True)}, {result.fitting:,} fit;"
        f" every figure is an estimate from {report.origin}\n",
        style="dim",
    )
    return text


def _layouts(title: str, estimates: Sequence[Estimate], limit: float, width: int) -> Table:
    wide = width >= WIDE
    table = _table(title)
    table.add_column("", justify="right", style="dim")
    table.add_column("layout")
    names = ("GiB", "step", "tok/s", "MFU", "comm")
    for name in (*names, "bubble", "tok/s/GPU") if wide else names:
        table.add_column(name, justify="right", no_wrap=True)
    for place, alike in distinct(estimates).items():
        one = estimates[place]
        cells = (
            _memory(one, limit),
            seconds(one.step_s),
            si(one.tokens_s),
            percent(one.mfu()),
            percent(one.communication_share),
        )
        more = (percent(one.time.bubble_share), si(one.tokens_s_gpu)) if wide else ()
        style = "" if place else "bold"
        words = f"{one.layout.shorthand}, {alike} alike" if alike else one.layout.shorthand
        table.add_row(str(place + 1), words, *cells, *more, style=style)
    return table


def _memory(one: Estimate, limit: float) -> Text:
    share = one.memory.total / limit
    return Text(
        gib(one.memory.total), style="red" if share > 1 else "yellow" if share > FULLEST else ""
    )


def _breakdown(one: Estimate, limit: float, width: int) -> Iterable[RenderableType]:
    """Memory and time part by part, side by side where there is room."""
    memory = [(name, getattr(one.memory, part)) for part, name in MEMORY_PARTS.items()]
    step = [(name, getattr(one.time, part)) for part, name in STEP_PARTS.items()]
    memory_table = _bars(
        f"Memory of {one.layout.shorthand}", memory, one.memory.total, "GiB", "cyan"
    )
    memory_table.add_row(
        "of the limit", f"{limit / GIB:,.1f}", percent(one.memory.total / limit), ""
    )
    step_table = _bars("Its step", step, one.step_s, "ms", "green")
    for table, found in ((memory_table, one.memory_interval), (step_table, one.step_interval)):
        table.caption = f"± {percent(found.spread)}: {found.words}"
        table.caption_justify = "left"
    if width < WIDE:
        return (memory_table, step_table)
    both = Table.grid(padding=(0, 4))
    both.add_row(memory_table, step_table)
    return (both,)


def _bars(
    title: str, parts: Sequence[tuple[str, float]], whole: float, unit: str, colour: str
) -> Table:
    table = _table(title)
    table.add_column("part")
    table.add_column(unit, justify="right", no_wrap=True)
    table.add_column("", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    scale = 1 / GIB if unit == "GiB" else 1e3
    for name, value in parts:
        if not value:
            continue
        bar = Text(_bar(value / whole), style=colour)
        table.add_row(name, f"{value * scale:,.1f}", percent(value / whole), bar)
    table.add_row(Text("total", style="bold"), Text(f"{whole * scale:,.1f}", style="bold"), "", "")
    return table


def _bar(share: float) -> str:
    """A bar of `BAR_CELLS` cells at most, in eighths."""
    eighths = round(share * BAR_CELLS * 8)
    full, part = divmod(eighths, 8)
    return "█" * full + (" ▏▎▍▌▋▊▉"[part] if part else "")


def _strategies(report: Report, width: int) -> Table:
    wide = width >= WIDE
    table = _table("The textbook strategies, each at its best")
    table.add_column("strategy")
    table.add_column("layout")
    for name in ("GiB", "step", "MFU", "comm", "bubble"):
        table.add_column(name, justify="right", no_wrap=True)
    if wide:
        table.add_column("good for", style="dim")
    for each in report.strategies:
        name, one = each.strategy.name, each.best or each.leanest
        last = (each.strategy.good_for,) if wide else ()
        if one is None:
            reason = clean(each.limiting.reason) if each.limiting else ""
            table.add_row(name, Text(reason, style="dim"), *[""] * 5, *last)
            continue
        table.add_row(
            name,
            one.layout.shorthand,
            _memory(one, report.result.limit_bytes),
            seconds(one.step_s),
            percent(one.mfu()),
            percent(one.communication_share),
            percent(one.time.bubble_share),
            *last,
            style="" if each.best else "dim",
        )
    return table


FRONT_ROWS = 8


def _front(front: Sequence[Estimate]) -> Table:
    """The Pareto front, thinned out evenly where it is long."""
    count = min(FRONT_ROWS, len(front))
    places = [round(place * (len(front) - 1) / (count - 1)) for place in range(count)]
    table = _table(f"Memory against time: a front of {len(front)}")
    table.add_column("GiB", justify="right", no_wrap=True)
    table.add_column("step", justify="right", no_wrap=True)
    table.add_column("layout")
    for place in places:
        one = front[place]
        table.add_row(gib(one.memory.total), seconds(one.step_s), one.layout.shorthand)
    return table


def _table(title: str) -> Table:
    return Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=SIMPLE_HEAD,
        min_width=len(title) + 2,
        pad_edge=False,
    )
