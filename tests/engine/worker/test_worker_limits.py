"""A real worker within real limits of its memory, and what it keeps while it is switched about."""

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec
import psutil
import pytest
from of_our_own import known
from prodtop.engine.probes.cgroups import MemoryCgroup, memory_cgroup
from prodtop.engine.protocol import (
    Fault,
    Frame,
    LoadSpec,
    Note,
    PrecisionName,
    Ready,
    SetPrecision,
)
from prodtop.engine.protocol.options import WorkerOptions
from worker_harness import BareWorker, bare_worker, fatal_faults

MIB = 2**20
LARGE = "tinyllama-1.1b"


def large_options() -> WorkerOptions:
    return WorkerOptions(model=LARGE, load_format="dummy", device="cpu", threads=1, kv_gib=0.1)


def limited(option: int, size: int, worker: BareWorker) -> None:
    """Lower a limit of a worker that has just started, before it reads any."""
    resource.prlimit(worker.process.pid, option, (size, size))


def only_fault(worker: BareWorker) -> Fault:
    (fault,) = fatal_faults(worker.last_words())
    assert "\n" not in fault.message
    return fault


def test_a_model_beyond_an_ulimit_is_refused_before_it_is_made(tmp_path: Path) -> None:
    with bare_worker(large_options(), tmp_path / "log") as worker:
        limited(resource.RLIMIT_AS, 4000 * MIB, worker)
        fault = only_fault(worker)
        assert worker.end() == fault.exit_code == 2
    assert fault.message.startswith(f"{LARGE} needs ")
    assert "ulimit -v leaves" in fault.message
    assert "master copy" in fault.message


@pytest.fixture
def cgroup() -> Iterator[MemoryCgroup]:
    """An empty memory cgroup within our own."""
    own = memory_cgroup()
    if own is None:
        pytest.skip("there is no memory cgroup here")
    folder = own.folder / f"prodtop-test-{os.getpid()}"
    try:
        folder.mkdir()
    except OSError as error:
        pytest.skip(f"no memory cgroup can be made here: {error}")
    try:
        made = MemoryCgroup(folder, own.root, own.version)
        if made.used_bytes() is None:
            pytest.skip("the cgroup made here has no memory controller")
        yield made
    finally:
        with suppress(OSError):
            folder.rmdir()


def test_a_model_beyond_a_cgroups_limit_is_refused_before_it_is_made(
    cgroup: MemoryCgroup, tmp_path: Path
) -> None:
    limit = {1: "memory.limit_in_bytes", 2: "memory.max"}[cgroup.version]
    (cgroup.folder / limit).write_text(str(1500 * MIB))
    with bare_worker(large_options(), tmp_path / "log") as worker:
        (cgroup.folder / "cgroup.procs").write_text(str(worker.process.pid))
        fault = only_fault(worker)
    assert fault.message.startswith(f"{LARGE} needs ")
    assert "the cgroup's limit leaves" in fault.message


def test_a_switch_beyond_an_ulimit_is_refused_and_serving_goes_on(tmp_path: Path) -> None:
    options = WorkerOptions(
        device="cpu", threads=1, kv_gib=0.25, precision=PrecisionName.BF16, load=LoadSpec(users=2)
    )
    with bare_worker(options, tmp_path / "log") as worker:
        worker.until(lambda report: isinstance(report, Ready))
        size = psutil.Process(worker.process.pid).memory_info().vms
        # Room for what serving still takes: compiled products, and threads' arenas of 64 MiB each.
        limited(resource.RLIMIT_AS, size + 192 * MIB, worker)
        worker.send(SetPrecision(name=PrecisionName.FP32))
        note = worker.until(lambda report: isinstance(report, Note))
        assert isinstance(note, Note)
        assert "fp32 needs" in note.message
        assert "ulimit -v leaves" in note.message
        before = finished(worker, 0)
        after = finished(worker, known(before.accounting).finished + 3)
    assert after.precision is PrecisionName.BF16


def finished(worker: BareWorker, requests: int) -> Frame:
    frame = worker.until(
        lambda report: isinstance(report, Frame) and known(report.accounting).finished >= requests
    )
    assert isinstance(frame, Frame)
    return frame


def test_switching_about_keeps_little(tiny_folder: Path) -> None:
    """25 switches of precision, each to numbers of rows that none before had.

    From the third round to the fifth: 8 MB as it is, 30 MB where compiled products pile up.
    """
    script = [sys.executable, str(Path(__file__).with_name("switch_rounds.py")), "5"]
    done = subprocess.run([*script, str(tiny_folder)], capture_output=True, check=True)
    held = msgspec.json.decode(done.stdout, type=list[tuple[int, int]])
    (resident, objects), (resident_after, objects_after) = held[2], held[4]
    assert resident_after - resident < 20 * MIB, held
    assert objects_after - objects < 2000, "a decoder or its requests are kept"
