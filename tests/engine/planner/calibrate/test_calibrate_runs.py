"""Calibrating this machine for real: products and copies, and two processes over gloo."""

from collections.abc import Generator
from pathlib import Path

import pytest
import torch
from prodtop.engine.planner.calibrate import runner
from prodtop.engine.planner.calibrate.constants import CalibrationError
from prodtop.engine.planner.calibrate.runner import calibrate, progress
from prodtop.engine.planner.calibrate.samples import (
    COLLECTIVES,
    CollectiveSample,
    CopySample,
    DeviceSample,
    MatmulSample,
    Report,
)
from prodtop.engine.planner.calibrate.saved import load_saved
from prodtop.engine.planner.cost.hardware import find_gpu


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def test_a_cpu_is_measured_with_two_processes(tmp_path: Path) -> None:
    seen: list[Report] = []
    result = calibrate(seen.append, device="cpu", path=tmp_path / "calibration.toml")
    measured = result.measured
    assert result.gpu is None, "a CPU is no GPU type that plans know"
    assert {type(report) for report in seen} >= {MatmulSample, CopySample, CollectiveSample}
    assert set(measured.links) == set(COLLECTIVES)
    assert measured.ranks == 2
    assert measured.copy.rate > 0
    assert measured.products["fp32"].flops_s > 0
    assert all(progress(report) for report in seen)
    assert "cpu" in load_saved(result.path).origins


def test_a_cpu_never_stands_for_a_gpu(tmp_path: Path) -> None:
    path = tmp_path / "calibration.toml"
    with pytest.raises(
        CalibrationError, match=r"no GPU here.* cannot stand for h100-sxm"
    ) as caught:
        calibrate(lambda _: None, device="cpu", gpu=find_gpu("h100-sxm"), path=path)
    assert "\n" not in str(caught.value)
    assert not path.exists(), "nothing is kept"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_without_a_gpu_one_line_says_so(tmp_path: Path) -> None:
    path = tmp_path / "calibration.toml"
    with pytest.raises(CalibrationError, match="no GPU here") as caught:
        calibrate(lambda _: None, device="cuda", path=path)
    assert "\n" not in str(caught.value)
    assert not path.exists()


def test_a_device_that_is_not_there_fails_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(CalibrationError, match=r"its log is|no GPU here"):
        calibrate(lambda _: None, device="cuda:99", path=tmp_path / "calibration.toml")


def test_more_ranks_than_gpus_are_refused_before_they_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu = DeviceSample(
        name="NVIDIA H200", type="cuda", devices=2, memory_bytes=10, sms=132, torch="2.11"
    )
    monkeypatch.setattr(runner, "_reports", lambda command, tell: iter_closing([gpu]))
    with pytest.raises(CalibrationError, match="3 ranks need a GPU each: this machine has 2"):
        calibrate(lambda _: None, ranks=3, path=tmp_path / "calibration.toml")


def iter_closing(reports: list[Report]) -> Generator[Report]:
    yield from reports
