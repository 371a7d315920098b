"""What a jump in a recording costs: `python benchmarks/seeking.py [FILE] [--jumps 30]`.

Opens a recording (the demo, unless one is named) on a screen of 160×48, jumps to random moments,
and prints the CPU time of a jump with its drawing, and of finding and decoding its ticks alone.
"""

import argparse
import asyncio
import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from prodtop.engine.client.replay_engine import ReplayEngine
from prodtop.engine.records.recording.reader import Recording
from prodtop.tui.app_setup import AppSetup
from prodtop.tui.commands.recording_files import DEMO_FILE
from prodtop.tui.replay_app import ReplayApp
from prodtop.tui.settings.config import Config

SIZE = (160, 48)


def cpu_ms(work: Callable[[], object]) -> float:
    """The CPU time that something takes."""
    began_s = time.process_time()
    work()
    return (time.process_time() - began_s) * 1e3


async def measure(path: Path, jumps: int) -> tuple[list[float], list[float]]:
    """CPU milliseconds of each jump on the screen, and of its ticks alone."""
    recording = Recording(path)
    engine = ReplayEngine(recording)
    app = ReplayApp(engine, AppSetup(config=Config(refresh_hz=0.5)))
    moments = random.Random(1)
    shown, decoded = [], []
    async with app.run_test(size=SIZE) as pilot:
        engine.set_paused(True)
        session = app.monitor.session()
        assert session is not None
        # The first draws import what charts need.
        app.action_scrub_to("end")
        await pilot.pause()
        for _ in range(jumps):
            wall_s = moments.uniform(session.begin_s, session.end_s)
            shown.append(cpu_ms(lambda: app.stand_at(wall_s)))  # noqa: B023 (called at once)
            await pilot.pause()
            number = moments.randint(recording.first_tick, recording.last_tick)
            decoded.append(cpu_ms(lambda: engine.seek(number)))  # noqa: B023 (called at once)
    return shown, decoded


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", nargs="?", type=Path, default=DEMO_FILE)
    parser.add_argument("--jumps", type=int, default=30)
    options = parser.parse_args()
    shown, decoded = asyncio.run(measure(options.file, options.jumps))
    for name, each in (("jump and draw", shown), ("find and decode", decoded)):
        print(f"{name}: median {statistics.median(each):.0f} ms, most {max(each):.0f} ms of CPU")


if __name__ == "__main__":
    main()
