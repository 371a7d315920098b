"""The worker as a real process: what ends it, and what does not."""

import subprocess
import time
from pathlib import Path

import psutil
from of_our_own import known
from prodtop.engine.protocol import (
    BenchSpec,
    Frame,
    PrecisionName,
    RunBench,
    Shutdown,
    StrategyName,
)
from worker_harness import (
    DEADLINE_S,
    LOAD,
    bare_worker,
    tiny_options,
)

# Ending


def test_a_worker_ends_when_it_is_told_to(tiny_folder: Path, tmp_path: Path) -> None:
    with bare_worker(tiny_options(tiny_folder), tmp_path / "log") as worker:
        worker.until(lambda report: isinstance(report, Frame))
        worker.send(Shutdown())
        assert worker.end() == 0


def test_an_idle_worker_ends_with_its_client(tiny_folder: Path, tmp_path: Path) -> None:
    with bare_worker(tiny_options(tiny_folder, idle=True), tmp_path / "log") as worker:
        worker.until(lambda report: isinstance(report, Frame))
        worker.channel.close()
        assert worker.end() == 0
    assert "Traceback" not in (tmp_path / "log").read_text()


def test_a_bench_that_nobody_waits_for_ends(tiny_folder: Path, tmp_path: Path) -> None:
    endless = BenchSpec(
        strategies=[StrategyName.SINGLE],
        precisions=[PrecisionName.FP32],
        requests=10**9,
        load=LOAD,
    )
    with bare_worker(tiny_options(tiny_folder, idle=True), tmp_path / "log") as worker:
        worker.until(lambda report: isinstance(report, Frame))
        worker.send(RunBench(spec=endless))
        wait_for_cpu_time(worker.process, 0.3)
        worker.channel.close()
        assert worker.end() == 0


def test_a_client_that_stops_reading_blocks_nothing(tiny_folder: Path, tmp_path: Path) -> None:
    options = tiny_options(tiny_folder)
    with bare_worker(options, tmp_path / "log", send_buffer_bytes=4096) as worker:
        first = worker.until(lambda report: isinstance(report, Frame))
        assert isinstance(first, Frame)
        wait_for_cpu_time(worker.process, 1.0)
        # What was not read is lost where it was a frame, and everything is told by the next.
        last, dropped = first, False
        while known(last.accounting).finished <= known(first.accounting).finished or not dropped:
            frame = worker.until(lambda report: isinstance(report, Frame))
            assert isinstance(frame, Frame)
            dropped |= frame.sequence > last.sequence + 1
            last = frame
        worker.send(Shutdown())
        assert worker.end() == 0


def wait_for_cpu_time(process: subprocess.Popen[bytes], seconds: float) -> None:
    """Return once the process has computed for so long; our side reads nothing meanwhile."""
    watched = psutil.Process(process.pid)
    end_s = watched.cpu_times().user + seconds
    deadline_s = time.monotonic() + DEADLINE_S
    while watched.cpu_times().user < end_s:
        assert time.monotonic() < deadline_s, "the worker stands still"
        time.sleep(0.02)
