"""Scripts that play the worker and the probe of a local engine, and waiting for what they say."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from child_scripts import DEADLINE_S, Clock, write_child
from frame_samples import frame
from prodtop.engine.client.local_engine import LocalEngine
from prodtop.engine.protocol import (
    ENCODER,
    Accounting,
    ChildDied,
    Frame,
    Note,
    PrecisionName,
    Report,
)
from prodtop.engine.protocol.options import WorkerOptions, from_argument, to_argument

WORKER = """
channel.send(Note(message=arguments.options))
channel.send(msgspec.msgpack.decode(FRAME, type=Frame))
while not channel.closed:
    select.select([channel], [], [])
    for command in channel.receive():
        if isinstance(command, Shutdown):
            sys.exit(0)
        channel.send(Note(message=repr(command)))
"""

PROBE = """
while not channel.closed:
    select.select([channel], [], [])
    for command in channel.receive():
        if isinstance(command, Shutdown):
            sys.exit(0)
        channel.send(Note(message=f"watching {command.pid}"))
"""

FRAME = frame(
    accounting=Accounting(submitted=9, finished=4, failed=1, in_system=4),
    precision=PrecisionName.BF16,
    generated_tokens_total=50,
)

EngineMaker = Callable[..., LocalEngine]


@contextmanager
def engines_in(folder: Path, clock: Clock) -> Iterator[EngineMaker]:
    """Makes and starts engines whose worker runs the given Python; all are closed at the end."""
    engines: list[LocalEngine] = []

    def make(worker: str = WORKER, options: WorkerOptions | None = None) -> LocalEngine:
        body = f"import msgspec\nFRAME = {ENCODER.encode(FRAME)!r}\n{worker}"
        worker_script = write_child(folder / "worker.py", body)
        probe_script = write_child(folder / "probe.py", PROBE)

        def worker_command(options: WorkerOptions) -> list[str]:
            return [sys.executable, str(worker_script), "--options", to_argument(options)]

        engine = LocalEngine(
            options or WorkerOptions(),
            worker_command=worker_command,
            probe_command=lambda: [sys.executable, str(probe_script)],
            clock=clock,
        )
        engine.start()
        engines.append(engine)
        return engine

    try:
        yield make
    finally:
        for engine in engines:
            engine.close()


def poll_until(engine: LocalEngine, done: Callable[[list[Report]], bool]) -> list[Report]:
    """Poll until `done` says so of all that came; all that came."""
    deadline_s = time.monotonic() + DEADLINE_S
    reports: list[Report] = []
    while not done(reports):
        assert time.monotonic() < deadline_s, f"only {reports}"
        engine.wait(0.05)
        reports += engine.poll()
    return reports


def has(kind: type[Report]) -> Callable[[list[Report]], bool]:
    return lambda reports: any(isinstance(report, kind) for report in reports)


def notes(reports: list[Report]) -> list[str]:
    return [report.message for report in reports if isinstance(report, Note)]


def said(message: str) -> Callable[[list[Report]], bool]:
    return lambda reports: message in notes(reports)


def options_of(reports: list[Report]) -> WorkerOptions:
    """What the worker was started with: it says so."""
    (text,) = [note for note in notes(reports) if note.startswith("{")]
    return from_argument(text)


def kill_worker(engine: LocalEngine) -> ChildDied:
    """`kill -9`, and the death as reported."""
    assert engine.worker_pid is not None
    os.kill(engine.worker_pid, signal.SIGKILL)
    reports = poll_until(engine, has(ChildDied))
    (death,) = [report for report in reports if isinstance(report, ChildDied)]
    return death


def restart(engine: LocalEngine, clock: Clock) -> list[Report]:
    """Let the back-off pass; all that comes until the probe knows of the new worker."""
    clock.now_s += 60
    return poll_until(
        engine,
        lambda reports: has(Frame)(reports) and said(f"watching {engine.worker_pid}")(reports),
    )
