"""What drawing costs: charts in a pseudo-terminal, CPU time and bytes counted.

    python benchmarks/drawing.py [--seconds 15] [--hz 4] [--charts 4] [--theme prodtop-dark]

Shows a grid of charts, 80×25 cells each, fed with noise that scrolls, and prints for one phase
with new data at every tick and one without any: CPU time a tick, the share of one core, and what
went to the terminal.
"""

import argparse
import asyncio
import fcntl
import json
import math
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import numpy as np
from prodtop.tui.drawing.chart_data import ChartSettings, Mark, Series, Stroke, Threshold
from prodtop.tui.drawing.span_update import SpanUpdate
from prodtop.tui.style.formatting import MILLISECONDS
from prodtop.tui.style.theme import DEFAULT_THEME, load_themes
from prodtop.tui.widgets.chart import BrailleChart
from rich.console import RenderableType
from textual._compositor import ChopsUpdate
from textual.app import App, ComposeResult
from textual.containers import Grid
from textual.screen import Screen

COLUMNS, ROWS = 80, 25
SAMPLE_HZ = 10.0
SPAN_S = 60.0


class Drawing(App[None]):
    """A grid of charts that measures its own CPU time."""

    CSS = "Grid { grid-size: 2; } BrailleChart { width: 1fr; height: 1fr; }"

    def __init__(self, charts: int, hz: float, seconds: float, theme: str, result: Path) -> None:
        super().__init__()
        self._charts = [BrailleChart(ChartSettings(unit=MILLISECONDS)) for _ in range(charts)]
        self._hz, self._seconds, self._result = hz, seconds, result
        load_themes().register(self)
        self.theme = theme
        random = np.random.default_rng(1)
        samples = int(SAMPLE_HZ * (SPAN_S * 2 + 4 * seconds))
        self._times = np.arange(samples) / SAMPLE_HZ
        walk = 60 + 25 * np.sin(self._times / 7) + random.normal(0, 4, samples).cumsum() * 0.1
        self._first = np.abs(walk + random.normal(0, 3, samples))
        self._second = self._first * 0.4 + random.normal(0, 2, samples)

    def compose(self) -> ComposeResult:
        with Grid():
            yield from self._charts

    def on_ready(self) -> None:
        self.run_worker(self._measure())

    def _display(self, screen: Screen[object], renderable: RenderableType | None) -> None:
        if isinstance(renderable, ChopsUpdate):
            renderable = SpanUpdate.of(renderable)
        super()._display(screen, renderable)

    async def _measure(self) -> None:
        now_s = SPAN_S
        phases = {}
        for phase, feeding in (("warm-up", True), ("live", True), ("idle", False)):
            seconds = 2.0 if phase == "warm-up" else self._seconds
            ticks = math.ceil(seconds * self._hz)
            started, started_cpu = time.perf_counter(), time.process_time()
            for tick in range(ticks):
                if feeding:
                    now_s += 1.0 / self._hz
                    self._show(now_s)
                due = started + (tick + 1) / self._hz
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
            phases[phase] = {
                "ticks": ticks,
                "cpu_s": time.process_time() - started_cpu,
                "wall_s": time.perf_counter() - started,
                "ended": time.time(),
            }
        self._result.write_text(json.dumps(phases), encoding="utf-8")
        self.exit()

    def _show(self, now_s: float) -> None:
        end = int(now_s * SAMPLE_HZ)
        begin = max(0, end - 1200)
        times = self._times[begin:end].tolist()
        for index, chart in enumerate(self._charts):
            first = Stroke.AREA if index % 2 == 0 else Stroke.LINE
            chart.set_data(
                (
                    Series("decode", times, self._first[begin:end].tolist(), first),
                    Series("prefill", times, self._second[begin:end].tolist()),
                ),
                now_s=now_s,
                span_s=SPAN_S,
                marks=(Mark(SPAN_S + 10, "int8"),),
                thresholds=(Threshold(100.0, "SLO"),),
            )


def watch(arguments: argparse.Namespace) -> None:
    """Run the app in a pseudo-terminal and report what it wrote and used."""
    result = Path(arguments.result)
    main, child_side = pty.openpty()
    rows = ROWS * math.ceil(arguments.charts / 2)
    fcntl.ioctl(child_side, termios.TIOCSWINSZ, struct.pack("HHHH", rows, COLUMNS * 2, 0, 0))
    command = [sys.executable, __file__, "--child", *sys.argv[1:], "--result", str(result)]
    environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
    child = subprocess.Popen(
        command, stdin=child_side, stdout=child_side, stderr=child_side, env=environment
    )
    os.close(child_side)
    arrivals: list[tuple[float, int]] = []
    while child.poll() is None:
        if select.select([main], [], [], 0.1)[0]:
            try:
                arrivals.append((time.time(), len(os.read(main, 1 << 16))))
            except OSError:
                break
    child.wait()
    report(json.loads(result.read_text(encoding="utf-8")), arrivals, arguments.charts)
    result.unlink()


def report(
    phases: dict[str, dict[str, float]], arrivals: list[tuple[float, int]], charts: int
) -> None:
    """Print one line for each phase."""
    print(f"{charts} charts of {COLUMNS}×{ROWS}")
    for name in ("live", "idle"):
        phase = phases[name]
        begin = phase["ended"] - phase["wall_s"]
        written = sum(size for at, size in arrivals if begin < at <= phase["ended"])
        print(
            f"{name:5} {phase['cpu_s'] / phase['ticks'] * 1e3:6.2f} ms/tick"
            f" {phase['cpu_s'] / phase['wall_s'] * 100:6.2f} % of a core"
            f" {written / phase['wall_s'] / 1e3:7.2f} kB/s"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--hz", type=float, default=4.0)
    parser.add_argument("--charts", type=int, default=4)
    parser.add_argument("--theme", default=DEFAULT_THEME)
    parser.add_argument("--result", default=".drawing-result.json", help=argparse.SUPPRESS)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        Drawing(
            arguments.charts,
            arguments.hz,
            arguments.seconds,
            arguments.theme,
            Path(arguments.result),
        ).run()
    else:
        watch(arguments)


if __name__ == "__main__":
    main()
