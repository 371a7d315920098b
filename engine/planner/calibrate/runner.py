"""Runs the measuring processes and turns their reports into a calibration."""

import datetime
import os
import select
import signal
import subprocess
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Timer

import msgspec

from ...files.child_log import ChildLog
from ...files.rotating_log import log_path
from ...protocol.options import child_command
from ...protocol.wording import counted
from ...shape.field_errors import FieldError
from ..cost.calibration import Calibration
from ..cost.hardware import Gpu, find_gpu
from .constants import CalibrationError, Measured, calibration_of, measured_from
from .samples import (
    EXIT_NO_GPU,
    CollectiveSample,
    CopySample,
    DeviceSample,
    MatmulSample,
    Report,
    parse_report,
)
from .saved import save

DEVICE_MODULE = "prodtop.engine.planner.calibrate.device"
LINKS_MODULE = "prodtop.engine.planner.calibrate.links"
LOG = "calibrate"
_READ_BYTES = 1 << 16
NO_GPU = "there is no GPU here to measure"
LONGEST_S = 600.0
"""A process that takes longer than this is ended."""

Tell = Callable[[Report], None]


@dataclass(frozen=True, kw_only=True)
class Calibrated:
    """What was measured, and where it was kept.

    `gpu` and `calibration` are `None` for a device that `hardware.toml` does not know (a CPU): its
    rates are kept, and plans do not use them.
    """

    measured: Measured
    gpu: Gpu | None
    calibration: Calibration | None
    path: Path


def calibrate(
    tell: Tell,
    *,
    device: str = "auto",
    ranks: int | None = None,
    gpu: Gpu | None = None,
    path: Path | None = None,
) -> Calibrated:
    """Measure this machine, keep the result, and return it. Takes about a minute on a GPU.

    tell: called with each report as it comes. ranks: processes that talk to each other; all GPUs by
    default, two on a CPU, and none of it for 1. gpu: what the device is, where its name does not
    say. path: where to keep the result, the user's data folder by default.

    Raises:
        CalibrationError: a process failed or measured too little, or there is no GPU to measure for
            a `gpu` or on the `device` that was asked for.
        FieldError: the file of calibrations cannot be read.
    """
    command = child_command(DEVICE_MODULE, ["--device", device])
    reports: list[Report] = []
    with closing(_reports(command, tell)) as measuring:
        for report in measuring:
            if gpu is not None and isinstance(report, DeviceSample) and report.type != "cuda":
                raise CalibrationError(f"{NO_GPU}: {report.name} cannot stand for {gpu.key}")
            reports.append(report)
    found = next((report for report in reports if isinstance(report, DeviceSample)), None)
    if found is None:
        raise CalibrationError(f"no device was measured: see {log_path(LOG)}")
    together = ranks or (found.devices if found.type == "cuda" else 2)
    if found.type == "cuda" and together > found.devices:
        raise CalibrationError(
            f"{counted(together, 'rank')} need a GPU each: this machine has {found.devices}"
        )
    if together > 1:
        reports += _reports(_links_command(found.type, together), tell)
    measured = measured_from(reports, datetime.datetime.now().astimezone().date())
    known = gpu or _known(found)
    constants = None if known is None else calibration_of(measured, known)
    key = found.type if known is None else known.key
    try:
        kept = save(measured, key, constants, path)
    except OSError as error:
        raise CalibrationError(f"the calibration cannot be kept: {error}") from error
    return Calibrated(measured=measured, gpu=known, calibration=constants, path=kept)


def _known(device: DeviceSample) -> Gpu | None:
    if device.type != "cuda":
        return None
    try:
        return find_gpu(device.name)
    except FieldError:
        return None


def _links_command(kind: str, ranks: int) -> list[str]:
    backend = "nccl" if kind == "cuda" else "gloo"
    launch = ["--standalone", "--nproc-per-node", str(ranks), "--no-python"]
    measure = child_command(LINKS_MODULE, ["--backend", backend])
    return child_command("torch.distributed.run", [*launch, *measure])


def _reports(command: Sequence[str], tell: Tell) -> Generator[Report]:
    """The reports of one process, as it prints them. Raises `CalibrationError` where it fails."""
    overdue = Event()
    with closing(ChildLog(LOG)) as log, _started(command, log, overdue) as process:
        for line in _lines(process, log):
            try:
                report = parse_report(line)
            except msgspec.DecodeError:
                continue  # what a library prints there
            tell(report)
            yield report
        code = process.wait()
        said, path = log.last_line(), log.path
    if code == EXIT_NO_GPU:
        raise CalibrationError(f"{NO_GPU}: the rates of a CPU say nothing about a cluster")
    if code != 0:
        what = "took too long" if overdue.is_set() else f"ended with code {code}"
        reason = f": {said}" if said else ""
        where = "" if path is None else f"; its log is {path}"
        raise CalibrationError(f"the measuring process {what}{reason}{where}")


def _lines(process: subprocess.Popen[bytes], log: ChildLog) -> Iterator[bytes]:
    """The lines of stdout as they come; what goes to stderr is taken in meanwhile."""
    assert process.stdout is not None
    out, rest = process.stdout.fileno(), b""
    watched = {out, log.fileno()}
    while out in watched:
        ready, _, _ = select.select(watched, [], [])
        if log.fileno() in ready and not log.drain():
            watched.remove(log.fileno())
        if out in ready:
            data = os.read(out, _READ_BYTES)
            if not data:
                watched.remove(out)
            *lines, rest = (rest + data).split(b"\n")
            yield from lines


@contextmanager
def _started(
    command: Sequence[str], log: ChildLog, overdue: Event
) -> Iterator[subprocess.Popen[bytes]]:
    """A process in a group of its own, with all that it starts; ended when the block is left.

    `overdue` is set where it is ended for taking too long.
    """
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=log.inlet,
        start_new_session=True,
        env={**os.environ, "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")},
    )
    log.close_inlet()

    def end_late() -> None:
        overdue.set()
        _end(process)

    timer = Timer(LONGEST_S, end_late)
    timer.daemon = True
    timer.start()
    try:
        yield process
    finally:
        timer.cancel()
        _end(process)
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the process and its children where it still runs."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)


def progress(report: Report) -> str:
    """A report in a few words, for a line of progress."""
    match report:
        case DeviceSample():
            return report.name
        case MatmulSample():
            rate = report.flops / report.seconds / 1e12
            return f"{report.dtype} {report.m}×{report.n}×{report.k}: {rate:,.2f} TFLOP/s"
        case CopySample():
            rate = report.moved_bytes / report.seconds / 1e9
            return f"copy of {report.moved_bytes / 2**20:,.2f} MiB: {rate:,.1f} GB/s"
        case CollectiveSample():
            name = report.collective.replace("_", "-")
            size = report.whole_bytes / 2**20
            return f"{name} of {size:,.3f} MiB on {report.ranks}: {report.seconds * 1e6:,.1f} µs"
        case _:
            return f"{report.what} skipped: {report.reason}"
