"""A snapshot in words, for a terminal."""

from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from ...engine.protocol import Latency, Percentiles
from ...engine.records.snapshot import Snapshot

GIB = 2**30
EVENTS_SHOWN = 10


def print_snapshot(path: Path, snapshot: Snapshot) -> None:
    """Print what was saved: the settings, the figures, the latencies and the last events."""
    console = Console(markup=False, highlight=False)
    console.print(_facts(path, snapshot))
    latency = snapshot.frame.latency.get(snapshot.settings.window)
    if latency is not None:
        console.print(_latencies(latency, snapshot.settings.window))
    for event in snapshot.events[-EVENTS_SHOWN:]:
        console.print(event)


def _facts(path: Path, snapshot: Snapshot) -> Table:
    frame, settings = snapshot.frame, snapshot.settings
    saved = datetime.fromtimestamp(snapshot.saved_wall_s, UTC).astimezone()
    done, throughput = frame.accounting, frame.throughput
    table = Table(box=None, show_header=False, pad_edge=False)
    rows = {
        "file": str(path),
        "screen": str(path.with_suffix(".svg")),
        "label": snapshot.label or "--",
        "saved": f"{saved:%Y-%m-%d %H:%M:%S %z}",
        "model": f"{frame.model.name}, {frame.model.parameters:,} parameters",
        "device": frame.device_name,
        "settings": f"{settings.strategy}, {settings.precision}, window {settings.window}",
        "decode": f"{throughput.decode_tok_s:,.1f} tok/s",
        "prefill": f"{throughput.prefill_tok_s:,.1f} tok/s",
        "requests": f"{throughput.requests_per_s:,.2f}/s; {done.submitted:,} submitted,"
        f" {done.finished:,} finished, {done.failed:,} failed, {done.in_system:,} in the system",
        "memory": f"{frame.memory.used_bytes / GIB:,.2f} GiB, of which weights"
        f" {frame.memory.weights_bytes / GIB:,.2f} and KV {frame.memory.kv_bytes / GIB:,.2f}",
        "versions": ", ".join(f"{name} {text}" for name, text in snapshot.versions.items()),
    }
    for name, text in rows.items():
        table.add_row(name, text)
    return table


def _latencies(latency: Latency, window: str) -> Table:
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
            table.add_row(name, *["--"] * 4, "0")
            continue
        figures = (part.p50_ms, part.p95_ms, part.p99_ms, part.mean_ms)
        table.add_row(name, *(f"{figure:,.1f}" for figure in figures), f"{part.count:,}")
    return table
