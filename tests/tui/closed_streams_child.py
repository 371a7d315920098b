"""`prodtop` with closed, full and unread standard streams: one fork for each line of JSON on stdin.

A line is the arguments and the state of each stream. The answer is a line of JSON: the exit code,
and what was printed on the streams that are read. What would be measured is taken from a table.
"""

import contextlib
import datetime
import gc
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
from prodtop.engine.planner.calibrate import runner
from prodtop.engine.planner.calibrate.constants import Line, Measured, Products
from prodtop.engine.planner.calibrate.samples import DeviceSample
from prodtop.engine.protocol import (
    CellMemory,
    CellResult,
    CellSkipped,
    Interval,
    LevelQuality,
    LevelSkipped,
    Note,
    Progress,
)
from prodtop.engine.protocol.settings import PrecisionName, StrategyName
from prodtop.tui.commands import bench, diagnosis, main, quality

CELL = CellResult(
    model="tiny",
    device="cpu",
    strategy=StrategyName.SINGLE,
    precision=PrecisionName.FP32,
    requests=4,
    failed=0,
    rejected=0,
    duration_s=2.0,
    output_tok_s=1234.5,
    total_tok_s=2000.0,
    req_s=2.0,
    ttft_ms=None,
    ttfb_ms=None,
    tpot_ms=None,
    itl_ms=None,
    e2e_ms=None,
    queue_ms=None,
    batch_waste=None,
    response_hit_rate=None,
    prefix_hit_rate=None,
    draft_acceptance_rate=None,
    memory=CellMemory(weights_bytes=2**20, kv_bytes=2**21),
    mbu=None,
    mfu=None,
    energy_j=None,
    output_sha256="00",
    versions={},
)
LEVEL = LevelQuality(
    precision=PrecisionName.FP32,
    reference=PrecisionName.FP32,
    weights_bytes=2**20,
    scored_tokens=510,
    perplexity=Interval(value=20.0, low=19.0, high=21.0),
    ratio=None,
    divergence=None,
    text=None,
    greedy=None,
    scored_tok_s=100.0,
)
LINE = Line(fixed_s=3e-6, rate=4e12, error=0.02)
DEVICE = DeviceSample(name="cpu", type="cpu", devices=1, memory_bytes=10, sms=1, torch="2.11")
CALIBRATED = runner.Calibrated(
    measured=Measured(
        device=DEVICE,
        date=datetime.date(2026, 11, 23),
        products={"fp32": Products(flops_s=7e11, wave=0.5, error=0.01)},
        copy=LINE,
        links={},
        ring=None,
        ranks=1,
        skipped=(),
    ),
    gpu=None,
    calibration=None,
    path=Path("kept.toml"),
)


class Engine:
    """Takes the engine's place."""

    def __init__(self, *_arguments: object, **_options: object) -> None:
        pass

    def start(self) -> None:
        pass

    def close(self) -> None:
        pass


def measure(*_arguments: object) -> Iterator[Progress | Note | CellResult | CellSkipped]:
    yield Progress(what="measuring", fraction=0.5)
    yield Note(message="a note")
    yield CELL
    yield CellSkipped(
        strategy=StrategyName.SINGLE, precision=PrecisionName.FP8, reason="no fp8 here"
    )
    yield CELL


def measure_quality(*_arguments: object) -> Iterator[Progress | Note | LevelQuality | LevelSkipped]:
    yield Progress(what="measuring", fraction=0.5)
    yield Note(message="a note")
    yield LEVEL
    yield LevelSkipped(precision=PrecisionName.FP8, reason="no fp8 here")


def calibrate(tell: runner.Tell, **_options: object) -> runner.Calibrated:
    tell(DEVICE)
    return CALIBRATED


WARM_UP = (
    ["plan", "--gpus", "8", "--dp", "8"],
    ["plan", "compare", "--gpus", "1"],
    ["plan", "capacity", "--gpu", "h200"],
    ["cost", "none"],
    ["trace", "show", "none.csv"],
    ["ready", "--run", "nothing"],
    ["guards", "bias", "--model", "./nowhere"],
)
"""What imports modules, and reads tables, that every fork would have to."""


def stand_in() -> None:
    """Measure nothing, and look up what every fork would have to."""
    setattr(bench, "LocalEngine", Engine)  # noqa: B010 (stand-ins with what is used of them)
    setattr(bench, "measure", measure)  # noqa: B010
    setattr(quality, "LocalEngine", Engine)  # noqa: B010
    setattr(quality, "measure", measure_quality)  # noqa: B010
    setattr(runner, "calibrate", calibrate)  # noqa: B010
    setattr(diagnosis, "_ask_torch", lambda: (None, "not asked"))  # noqa: B010
    import rich.console
    import rich.table  # noqa: F401

    with (
        open(os.devnull, "w") as nowhere,  # noqa: PTH123
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(nowhere),
    ):
        for arguments in WARM_UP:
            main.run(arguments)


def set_stream(fd: int, state: str, file: int) -> None:
    """Bring a standard stream into a state; `read` leads into `file`."""
    match state:
        case "closed":
            os.close(fd)
        case "gone":
            reader, writer = os.pipe()
            os.close(reader)
            os.dup2(writer, fd)
        case "full":
            os.dup2(os.open("/dev/full", os.O_RDWR), fd)
        case "read":
            os.dup2(file, fd)
    # As the interpreter finds them at its start.
    name = ("stdin", "stdout", "stderr")[fd]
    stream = None
    if state != "closed":
        stream = open(fd, "r" if fd == 0 else "w", closefd=False)  # noqa: SIM115
    setattr(sys, name, stream)
    setattr(sys, f"__{name}__", stream)


def answer(arguments: list[str], states: list[str]) -> None:
    """Fork, run the command, and say what came of it."""
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(tempfile.TemporaryFile()) for _ in states]
        pid = os.fork()
        if pid == 0:
            for fd, (state, file) in enumerate(zip(states, files, strict=True)):
                set_stream(fd, state, file.fileno())
            sys.argv = ["prodtop", *arguments]
            main.main()
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        printed = [os.pread(file.fileno(), 1 << 20, 0).decode() for file in files[1:]]
    print(json.dumps([code, *printed]), flush=True)


if __name__ == "__main__":
    stand_in()
    # Forks need not look through, nor copy, what all of them have.
    gc.freeze()
    for line in os.fdopen(os.dup(0)):
        answer(*msgspec.json.decode(line, type=tuple[list[str], list[str]]))
