"""What `prodtop snapshot show` prints."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ...engine.protocol import Accounting, Latency, Memory, Percentiles, serving_words
from ...engine.protocol.wording import counted
from ...engine.records.snapshot import PlanRecord, Snapshot
from ...engine.text.cleaning import clean
from ..style.formatting import MISSING, exact
from .quality_output import level_lines

if TYPE_CHECKING:
    from rich.table import Table

GIB = 2**30
EVENTS_SHOWN = 10
TABLE_WIDTH = 120


def print_snapshot(path: Path, snapshot: Snapshot) -> None:
    """Print what was saved: the settings, the figures, the latencies and the last events."""
    # Here and not above: the other commands need not wait for rich.
    from .console import CleanConsole

    console = CleanConsole(highlight=False)
    console.print(_facts(path, snapshot))
    latency = snapshot.frame.latency.get(snapshot.settings.window)
    if latency is not None:
        console.print(_latencies(latency, snapshot.settings.window))
    for row in _tried(snapshot):
        console.print(row, soft_wrap=True)
    if snapshot.quality is not None:
        lines = ["", *level_lines(snapshot.quality.levels), ""]
        console.print("\n".join(lines), soft_wrap=True)
    for row in _compared(snapshot):
        console.print(row, soft_wrap=True)
    if snapshot.plan is not None:
        console.print(plan_line(snapshot.plan), soft_wrap=True)
    for event in snapshot.events[-EVENTS_SHOWN:]:
        console.print(event)


def plan_line(plan: PlanRecord) -> str:
    """The plan in a line."""
    fits = "fits" if plan.fits else "does not fit"
    return (
        f"planned (estimates): {plan.texts.get('model', '--')}, {plan.layout}: {fits},"
        f" {plan.memory_bytes / GIB:,.1f} GiB a GPU, {plan.step_s:,.3g} s a step,"
        f" {plan.tokens_s:,.0f} tok/s"
    )


def _facts(path: Path, snapshot: Snapshot) -> "Table":
    frame, settings = snapshot.frame, snapshot.settings
    saved = datetime.fromtimestamp(snapshot.saved_wall_s, UTC).astimezone()
    throughput = frame.throughput
    from rich.table import Table

    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column()
    # A path that is cut off leads nowhere.
    table.add_column(overflow="fold")
    rows = {
        "file": clean(str(path)),
        "screen": clean(str(path.with_suffix(".svg"))),
        "label": snapshot.label or "--",
        "saved": f"{saved:%Y-%m-%d %H:%M:%S %z}",
        "model": f"{frame.model.name}, {exact(frame.model.parameters)} parameters",
        "device": frame.device_name,
        "settings": ", ".join((*serving_words(frame), f"window {settings.window}")),
        "decode": f"{_decimals(throughput.decode_tok_s)} tok/s",
        "prefill": f"{_decimals(throughput.prefill_tok_s)} tok/s",
        "requests": f"{_decimals(throughput.requests_per_s, 2)}/s; {_account(frame.accounting)}",
        "memory": _memory(frame.memory),
        "versions": ", ".join(f"{name} {text}" for name, text in snapshot.versions.items()),
    }
    for name, text in rows.items():
        table.add_row(name, text)
    return table


def _decimals(number: float | None, places: int = 1) -> str:
    return "--" if number is None else f"{number:,.{places}f}"


def _account(done: Accounting | None) -> str:
    if done is None:
        return "not counted"
    return (
        f"{done.submitted:,} submitted, {done.finished:,} finished, {done.failed:,} failed,"
        f" {done.in_system:,} in the system, {done.rejected:,} rejected"
    )


def _memory(memory: Memory | None) -> str:
    if memory is None:
        return "--"
    return (
        f"{memory.used_bytes / GIB:,.2f} GiB, of which weights {memory.weights_bytes / GIB:,.2f}"
        f" and KV {memory.kv_bytes / GIB:,.2f}"
    )


def _tried(snapshot: Snapshot) -> list[str]:
    """The table of what was tried until then; empty in snapshots that have none."""
    from ..style.glyphs import ASCII
    from ..views.tried import tried_lines

    if not snapshot.tried:
        return []
    rows = tried_lines(snapshot.tried, None, TABLE_WIDTH, ASCII)
    return ["what was tried:", *(row.plain.rstrip() for row in rows)]


def _compared(snapshot: Snapshot) -> list[str]:
    """The cells of the last sweep by the metrics that `prodtop compare` shows; empty without."""
    comparison = snapshot.comparison
    if comparison is None or not comparison.cells:
        return []
    # Here and not above, as above.
    from ...engine.compare.cells import load_label
    from ...engine.compare.matrix import matrix
    from .compare_options import parse_metrics
    from .compare_output import matrix_rows
    from .text_table import aligned, fitting

    known, cells = len(comparison.measured()), comparison.cells
    work = counted(comparison.work.requests, "request")
    kept, _ = fitting(matrix_rows(matrix(comparison, parse_metrics(None))), TABLE_WIDTH)
    head = f"compared, {known} of {len(cells)} cells measured, {work} a repeat, "
    return [head + f"{clean(load_label(cells[0].cell.load))}:", *aligned(kept, last_left=True), ""]


def _latencies(latency: Latency, window: str) -> "Table":
    from rich.table import Table

    table = Table(title=f"latency over {window} (ms)", title_justify="left", box=None)
    for heading in ("", "p50", "p95", "p99", "mean", "samples"):
        table.add_column(heading, justify="right" if heading else "left")
    parts: dict[str, Percentiles | None] = {
        "TTFT": latency.ttft,
        "TTFB": latency.ttfb,
        "TPOT": latency.tpot,
        "ITL": latency.itl,
        "E2E": latency.e2e,
        "queue": latency.queue,
    }
    for name, part in parts.items():
        if part is None:
            table.add_row(name, *[MISSING] * 4, "0")
            continue
        figures = (part.p50_ms, part.p95_ms, part.p99_ms, part.mean_ms)
        shown = (MISSING if each is None else f"{each:,.1f}" for each in figures)
        table.add_row(name, *shown, f"{part.count:,}")
    return table
