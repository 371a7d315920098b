"""The device's ceilings: measured once, kept in a file, raised and never lowered."""

import time
from pathlib import Path

import msgspec
import pytest
import torch
from prodtop.engine.device import ceilings as module
from prodtop.engine.device.ceilings import (
    LONGEST_KEPT_S,
    Ceilings,
    measure_copy_bandwidth,
    measure_matmul_peak,
)
from prodtop.engine.device.devices import device_name, resolve_device

CPU = torch.device("cpu")


class Stopwatch:
    """Stands for the measuring: counts how often it was asked, and finds what it is told."""

    def __init__(self, per_s: float) -> None:
        self.per_s = per_s
        self.asked = 0

    def __call__(self, *about: object) -> float:
        self.asked += 1
        return self.per_s


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "ceilings.json"


@pytest.fixture
def copy(monkeypatch: pytest.MonkeyPatch) -> Stopwatch:
    stopwatch = Stopwatch(50.0)
    monkeypatch.setattr(module, "measure_copy_bandwidth", stopwatch)
    monkeypatch.setattr(module, "measure_matmul_peak", stopwatch)
    return stopwatch


def test_a_ceiling_is_measured_once_and_found_by_the_next_start(
    path: Path, copy: Stopwatch
) -> None:
    first = Ceilings(CPU, path)
    assert [first.copy_bytes_per_s() for _ in range(3)] == [50.0] * 3
    assert Ceilings(CPU, path).copy_bytes_per_s() == 50.0
    assert copy.asked == 1


def test_each_dtype_has_its_own(path: Path, copy: Stopwatch) -> None:
    ceilings = Ceilings(CPU, path)
    ceilings.matmul_flops_per_s(torch.float32)
    copy.per_s = 70.0
    assert ceilings.matmul_flops_per_s(torch.bfloat16) == 70.0
    assert ceilings.matmul_flops_per_s(torch.float32) == 50.0


def test_an_old_ceiling_is_measured_again_and_only_raised(
    path: Path, copy: Stopwatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    Ceilings(CPU, path).copy_bytes_per_s()
    for found, highest in ((40.0, 50.0), (60.0, 60.0)):
        later_s = time.time() + 2 * LONGEST_KEPT_S
        monkeypatch.setattr(time, "time", lambda later_s=later_s: later_s)
        copy.per_s = found
        assert Ceilings(CPU, path).copy_bytes_per_s() == highest
    assert copy.asked == 3


def test_a_ceiling_from_a_future_that_was_taken_back_is_measured_again(
    path: Path, copy: Stopwatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kept before the wall clock was set back: its age is not known."""
    Ceilings(CPU, path).copy_bytes_per_s()
    earlier_s = time.time() - LONGEST_KEPT_S
    monkeypatch.setattr(time, "time", lambda: earlier_s)
    Ceilings(CPU, path).copy_bytes_per_s()
    assert copy.asked == 2


def test_while_a_process_lives_a_ceiling_stays_as_it_is(
    path: Path, copy: Stopwatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    ceilings = Ceilings(CPU, path)
    ceilings.copy_bytes_per_s()
    later_s = time.time() + 2 * LONGEST_KEPT_S
    monkeypatch.setattr(time, "time", lambda: later_s)
    copy.per_s = 60.0
    assert ceilings.copy_bytes_per_s() == 50.0
    assert copy.asked == 1


def test_another_number_of_threads_is_another_device(path: Path, copy: Stopwatch) -> None:
    Ceilings(CPU, path).copy_bytes_per_s()
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(threads + 1)
        Ceilings(CPU, path).copy_bytes_per_s()
    finally:
        torch.set_num_threads(threads)
    assert copy.asked == 2
    assert len(msgspec.json.decode(path.read_bytes(), type=dict[str, object])) == 2


@pytest.mark.parametrize("content", [b"", b"[]", b'{"a": 3}', b"\xff"])
def test_a_broken_file_is_measured_over(path: Path, copy: Stopwatch, content: bytes) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    assert Ceilings(CPU, path).copy_bytes_per_s() == 50.0
    assert Ceilings(CPU, path).copy_bytes_per_s() == 50.0
    assert copy.asked == 1


@pytest.mark.parametrize("absurd", ["0", "-50.0", "1e308"])
def test_a_ceiling_that_nothing_has_is_measured_over(
    path: Path, copy: Stopwatch, absurd: str
) -> None:
    Ceilings(CPU, path).copy_bytes_per_s()
    path.write_text(path.read_text().replace('"per_s": 50.0', f'"per_s": {absurd}'))
    assert absurd in path.read_text()
    assert Ceilings(CPU, path).copy_bytes_per_s() == 50.0
    assert copy.asked == 2


def test_where_nothing_can_be_written_it_is_measured_each_time(
    tmp_path: Path, copy: Stopwatch
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    for _ in range(2):
        assert Ceilings(CPU, blocked / "ceilings.json").copy_bytes_per_s() == 50.0
    assert copy.asked == 2


def test_ceilings_are_physical_and_measured_once() -> None:
    # From a slow disk to more than any computer has.
    assert 1e8 < measure_copy_bandwidth(CPU) < 1e15
    assert 1e8 < measure_matmul_peak(CPU, torch.float32) < 1e17


@pytest.mark.gpu
def test_a_gpus_ceilings_are_above_a_cpus() -> None:
    gpu = resolve_device("cuda")
    assert measure_copy_bandwidth(gpu) > measure_copy_bandwidth(CPU)
    narrow, wide = torch.bfloat16, torch.float32
    assert measure_matmul_peak(gpu, narrow) > measure_matmul_peak(CPU, wide)
    assert device_name(gpu)
