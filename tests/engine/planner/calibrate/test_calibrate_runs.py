"""Calibrating this machine for real: products and copies, and two processes over gloo."""

from pathlib import Path

import pytest
from prodtop.engine.planner.calibrate.constants import CalibrationError
from prodtop.engine.planner.calibrate.runner import calibrate, progress
from prodtop.engine.planner.calibrate.samples import (
    COLLECTIVES,
    CollectiveSample,
    CopySample,
    MatmulSample,
    Report,
)
from prodtop.engine.planner.calibrate.saved import load_saved


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


def test_a_device_that_is_not_there_fails_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(CalibrationError, match="its log is"):
        calibrate(lambda _: None, device="cuda:99", path=tmp_path / "calibration.toml")
