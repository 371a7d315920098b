"""Record the demo that ships: `python -m tools.record_demo [FILE]`, ten minutes of a real engine.

What one would want to walk back to happens on a schedule: strategies and precisions change, a burst
of load comes and goes, the worker is killed and comes back, and notes say so.
"""

import argparse
import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
from prodtop.engine.client.local_engine import LocalEngine
from prodtop.engine.client.recorded_engine import RecordedEngine
from prodtop.engine.protocol import (
    ChildDied,
    ChildStarted,
    Command,
    LoadSpec,
    PrecisionName,
    Ready,
    Report,
    SetLoad,
    SetPrecision,
    SetStrategy,
    StrategyName,
)
from prodtop.engine.protocol.options import WorkerOptions
from prodtop.tui.commands.recording_facts import recording_facts

FILE = Path(__file__).parents[1] / "engine" / "records" / "demo.ptop"
POLL_INTERVAL_S = 0.4
LENGTH_S = 600.0
USERS, BURST_USERS = 4, 48
LOAD = LoadSpec(users=USERS, think_s=0.6, output_tokens_max=64)


class Told:
    """The engine, without what is this machine's own: where its logs are. Remembers the worker."""

    def __init__(self, engine: LocalEngine) -> None:
        self._engine = engine
        self.worker: int | None = None
        self.ready = False

    def poll(self) -> list[Report]:
        """What was reported since the last call."""
        reports: list[Report] = []
        for report in self._engine.poll():
            if isinstance(report, ChildDied):
                report = msgspec.structs.replace(report, log=None)
            elif isinstance(report, ChildStarted) and report.child == "worker":
                self.worker = report.pid
            self.ready |= isinstance(report, Ready)
            reports.append(report)
        return reports

    def send(self, command: Command) -> None:
        """Pass a command on."""
        self._engine.send(command)

    def close(self) -> None:
        """End the engine."""
        self._engine.close()


@dataclass(frozen=True, slots=True)
class Scene:
    """Something that is done so many seconds after the engine is ready."""

    at_s: float
    commands: tuple[Command, ...] = ()
    note: str = ""
    kills: bool = False


def _load(users: int) -> SetLoad:
    return SetLoad(load=msgspec.structs.replace(LOAD, users=users))


SCENES: Sequence[Scene] = (
    Scene(60.0, (SetStrategy(name=StrategyName.BATCHED),)),
    Scene(120.0, (SetStrategy(name=StrategyName.CONTINUOUS),)),
    Scene(180.0, (SetStrategy(name=StrategyName.HYBRID),), "from here on with both caches"),
    Scene(240.0, (SetPrecision(name=PrecisionName.INT8),)),
    Scene(300.0, (SetPrecision(name=PrecisionName.FP32),)),
    Scene(355.0, note="twelve times the users: what happens to TTFT?"),
    Scene(360.0, (_load(BURST_USERS),)),
    Scene(390.0, (_load(USERS),)),
    Scene(455.0, note="killing the worker"),
    Scene(460.0, kills=True),
    Scene(530.0, (SetStrategy(name=StrategyName.STREAMING),)),
)


def record(path: Path, clock: Callable[[], float] = time.monotonic) -> None:
    """Play the schedule, and record it to `path`."""
    local = LocalEngine(WorkerOptions(strategy=StrategyName.SINGLE, load=LOAD))
    told = Told(local)
    engine = RecordedEngine(told, facts=recording_facts)
    engine.start_recording(path)
    waiting, began_s = list(SCENES), clock()
    try:
        local.start()
        while clock() - began_s < LENGTH_S:
            engine.poll()
            if not told.ready:
                began_s = clock()
            while waiting and clock() - began_s >= waiting[0].at_s:
                _play(waiting.pop(0), engine, told)
            time.sleep(POLL_INTERVAL_S)
    finally:
        engine.close()


def _play(scene: Scene, engine: RecordedEngine, told: Told) -> None:
    if scene.note:
        engine.note(scene.note)
    for command in scene.commands:
        engine.send(command)
    if scene.kills and told.worker is not None:
        os.kill(told.worker, signal.SIGKILL)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", nargs="?", type=Path, default=FILE)
    path: Path = parser.parse_args().file
    path.unlink(missing_ok=True)
    record(path)
    print(f"{path}: {path.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
