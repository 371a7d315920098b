"""Serving without a screen while the worker records: until a time, a signal, or its end."""

import signal
import sys
import time
from pathlib import Path

from ...engine.client.local_engine import LocalEngine
from ...engine.files.paths import log_dir
from ...engine.protocol import ChildDied, Fault, Frame, Note, Progress, describe_load, own_setting
from ...engine.protocol.errors import ProdtopError, WorkerFailedError
from ...engine.protocol.options import WorkerOptions
from ...engine.protocol.wording import counted
from .signals import EndingSignals
from .status_line import StatusLine
from .worker_reports import POLL_INTERVAL_S

ENDING = (signal.SIGINT, signal.SIGTERM)


def record(options: WorkerOptions, duration_s: float | None) -> Path | None:
    """Serve as `options` say until `duration_s` after the first frame, a signal, or the end of a
    trace and of all its requests. Returns the file; `None` where it ended before it served.

    Raises `WorkerFailedError` where the worker could not serve, `ProdtopError` where it died.
    """
    engine, status = LocalEngine(options, probe_command=None), StatusLine(sys.stderr)
    frame: Frame | None = None
    with EndingSignals(ENDING) as signals:
        engine.start()
        ends_at_s: float | None = None
        try:
            while not signals.count and (ends_at_s is None or time.monotonic() < ends_at_s):
                engine.wait(POLL_INTERVAL_S)
                for report in engine.poll():
                    match report:
                        case Frame():
                            if frame is None and duration_s is not None:
                                ends_at_s = time.monotonic() + duration_s
                            frame = report
                            status.show(_words(report))
                        case Progress(what=what):
                            status.show(what)
                        case Note(message=message):
                            status.say(message)
                        case Fault():
                            raise WorkerFailedError(report.message, report.exit_code)
                        case ChildDied(child="worker"):
                            raise ProdtopError(
                                f"the worker died: {report.reason}; its log is in {log_dir()}"
                            )
                        case _:
                            pass
                if frame is not None and _is_over(frame):
                    break
        finally:
            # The worker writes what is left as it ends.
            engine.close()
            status.clear()
    return None if frame is None or frame.recording is None else Path(frame.recording.path)


def _is_over(frame: Frame) -> bool:
    """Whether nothing more can be recorded."""
    if frame.recording is not None and frame.recording.stopped is not None:
        return True
    trace = frame.trace
    load = None if frame.load is None else frame.load.trace
    played = trace is not None and load is not None and not load.loop and trace.fraction == 1.0
    in_system = None if frame.accounting is None else frame.accounting.in_system
    return played and not in_system


def _words(frame: Frame) -> str:
    recording = frame.recording
    number = 0 if recording is None else recording.requests
    load = describe_load(own_setting(frame).load)
    return f"{counted(number, 'request', grouped=True)} recorded, {load}"
